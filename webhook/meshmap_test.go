package webhook_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// mapRequest creates a ConfigMap with data "key=value,key=value", or updates it if old is not "".
func mapRequest(name, data, old string) request {
	r := request{path: webhook.PathValidateMeshMap, name: name, namespace: "meshfence-system", object: configMap(name, data)}
	if old != "" {
		r.old = configMap(name, old)
	}
	return r
}

func configMap(name, data string) string {
	raw, _ := json.Marshal(map[string]any{"metadata": map[string]any{"name": name, "namespace": "meshfence-system"}, "data": labelMap(data)})
	return string(raw)
}

func TestTheMeshMapIsJudgedByCreateAndByUpdate(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for name, test := range map[string]struct {
		request request
		answer  string
	}{
		"right":                       {mapRequest("mesh-map", "mesh-1=mesh-1,mesh-2=mesh-2", ""), "allow"},
		"empty":                       {mapRequest("mesh-map", "", ""), "allow"},
		"a bad entry":                 {mapRequest("mesh-map", "mesh-1=", ""), "deny MF401"},
		"another mesh's revision":     {mapRequest("mesh-map", "mesh-1=mesh-2", ""), "deny MF402"},
		"an unknown one":              {mapRequest("mesh-map", "mesh-1=nobody", ""), "warn MF403"},
		"it gets a bad entry":         {mapRequest("mesh-map", "mesh-1=mesh-1,mesh-2=", "mesh-1=mesh-1"), "deny MF401"},
		"it had a bad entry":          {mapRequest("mesh-map", "mesh-1=mesh-1,mesh-2=", "mesh-2="), "allow"},
		"a bad name stays bad":        {mapRequest("mesh-map", "-x=mesh-1", "-x=mesh-2"), "warn MF401"},
		"it loses a bad entry":        {mapRequest("mesh-map", "mesh-1=mesh-1", "mesh-1=mesh-1,mesh-2="), "allow"},
		"in a dry run":                {dry(mapRequest("mesh-map", "mesh-1=", "")), "deny MF401"},
		"binary data":                 {request{path: webhook.PathValidateMeshMap, name: "mesh-map", object: "{metadata: {name: mesh-map}, binaryData: {mesh-1: AAEC}}"}, "deny MF401"},
		"no data at all":              {request{path: webhook.PathValidateMeshMap, name: "mesh-map", object: "{metadata: {name: mesh-map}}"}, "allow"},
		"an object that has no name":  {request{path: webhook.PathValidateMeshMap, name: "mesh-map", object: "{data: {mesh-1: ''}}"}, "deny MF401"},
		"another ConfigMap":           {mapRequest("meshfence-configuration", "mesh-1=,config.yaml=a b", ""), "allow"},
		"one of a similar name":       {mapRequest("mesh-map-2", "mesh-1=", ""), "allow"},
		"the root certificate of all": {mapRequest("kube-root-ca.crt", "ca.crt=a b", "ca.crt="), "allow"},
	} {
		if got := said(s.ask(t, test.request)); got != test.answer {
			t.Errorf("%s: %s, want %s", name, got, test.answer)
		}
	}
}

func TestTheMeshMapIsTheOneThatTheConfigurationNames(t *testing.T) {
	s := serve(t, twoMeshes(t), func(c *config.Configuration) { c.MeshMap.Name = "revisions" })
	for name, want := range map[string]string{"revisions": "deny MF401", "mesh-map": "allow"} {
		if got := said(s.ask(t, mapRequest(name, "mesh-1=", ""))); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestADenialOfTheMeshMapIsAWholeAnswer(t *testing.T) {
	const message = `MF402 MeshMapOtherMesh: the entry "mesh-1: mesh-2" gives mesh "mesh-1" a revision of mesh "mesh-2"
  give it the active revision of mesh-1:  kubectl patch configmap mesh-map --namespace meshfence-system --type=merge -p '{"data":{"mesh-1":"mesh-1"}}'
  meshfence explain rule MF402`
	want := &admissionv1.AdmissionResponse{UID: uid, Result: &metav1.Status{
		Status: "Failure", Code: 422, Reason: "Invalid", Message: "data[mesh-1]: " + message,
		Details: &metav1.StatusDetails{
			Name: "mesh-map", Kind: "ConfigMap", Causes: []metav1.StatusCause{{Type: "FieldValueInvalid", Field: "data[mesh-1]", Message: message}},
		},
	}}
	if diff := cmp.Diff(audited(want, "deny", "MF402"), serve(t, twoMeshes(t)).ask(t, mapRequest("mesh-map", "mesh-1=mesh-2", "mesh-1=mesh-1"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A mesh map that is applied together with its meshes comes before any cache has seen them.
func TestTheMeshMapIsNotRefusedForAMeshThatOnlyTheCacheHasNotSeen(t *testing.T) {
	c := twoMeshes(t)
	stored := c.objects
	c.objects = mesh.Objects{Istios: c.objects.Istios[:1]}
	renamed := controlPlane(t, istio("mesh-2", "{namespace: istio-system-2, updateStrategy: {type: RevisionBased}, version: v1.30.0}"))
	c.objects.Istios = append(c.objects.Istios, renamed, controlPlane(t, istio("east", selecting("istio-system-3", "a", "b"))))
	stored = stored.WithTag(tagOn(t, "east", "mesh-1"))
	s := serve(t, c)
	r := mapRequest("mesh-map", "mesh-1=east", "")
	if got := said(s.ask(t, r)); got != "deny MF402" {
		t.Fatalf("as the cache has it: %s", got)
	}
	c.stored = &stored
	if got := said(s.ask(t, r)); got != "allow" {
		t.Errorf("as it is stored: %s", got)
	}
	c.live = func() error { return errors.New("etcd is away") }
	if got := said(s.ask(t, r)); got != "deny MF402" {
		t.Errorf("what is stored cannot be read: %s", got)
	}
}

func TestToAllowTheMeshMapNobodyIsCalled(t *testing.T) {
	c := twoMeshes(t)
	c.live = func() error {
		t.Error("the stored meshes were read")
		return nil
	}
	if got := said(serve(t, c).ask(t, mapRequest("mesh-map", "mesh-1=mesh-1,mesh-2=nobody", ""))); got != "warn MF403" {
		t.Error(got)
	}
}

func TestAMeshMapThatNeedsNoJudgementIsAllowedWhateverItIs(t *testing.T) {
	c := twoMeshes(t)
	c.unsynced = true // not even that matters
	s := serve(t, c)
	bad := configMap("mesh-map", "mesh-1=")
	for name, r := range map[string]request{
		"a deletion":                {operation: admissionv1.Delete, old: bad},
		"an exempt user":            {object: bad, user: "system:apiserver"},
		"one that is being deleted": {object: "{metadata: {name: mesh-map, deletionTimestamp: '2026-08-01T12:00:00Z'}, data: {mesh-1: ''}}", old: bad},
		"another ConfigMap":         {object: configMap("settings", "mesh-1=")},
	} {
		r.path, r.name = webhook.PathValidateMeshMap, "mesh-map"
		if diff := cmp.Diff(allowed(), s.ask(t, r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The mesh map counts until its last finalizer is gone, so what it says is judged; the rest gets through.
func TestOfAMeshMapThatIsBeingDeletedOnlyTheEntriesAreJudged(t *testing.T) {
	const deleting = "deletionTimestamp: '2026-08-01T12:00:00Z', finalizers: [example.com/hold]"
	configMap := func(metadata, rest string) string {
		return "{metadata: {name: mesh-map, " + metadata + "}, " + rest + "}"
	}
	const right, wrong = "data: {mesh-1: mesh-1}", "data: {mesh-1: mesh-2}"
	for name, test := range map[string]struct {
		old, object string
		answer      string
	}{
		"its finalizer goes":                        {configMap(deleting, right), configMap("deletionTimestamp: '2026-08-01T12:00:00Z'", right), "allow"},
		"an annotation comes":                       {configMap(deleting, right), configMap(deleting+", annotations: {a: b}", right), "allow"},
		"it was wrong before, and a finalizer goes": {configMap(deleting, wrong), configMap("deletionTimestamp: '2026-08-01T12:00:00Z'", wrong), "allow"},
		"an entry changes":                          {configMap(deleting, right), configMap(deleting, wrong), "deny MF402"},
		"a binary entry comes":                      {configMap(deleting, right), configMap(deleting, right+", binaryData: {mesh-2: AAEC}"), "deny MF401"},
		"an entry is repaired":                      {configMap(deleting, wrong), configMap(deleting, right), "allow"},
		"a creation that says it is being deleted":  {"", configMap(deleting, wrong), "deny MF402"},
	} {
		r := request{path: webhook.PathValidateMeshMap, name: "mesh-map", namespace: "meshfence-system", old: test.old, object: test.object}
		if got := said(serve(t, twoMeshes(t)).ask(t, r)); got != test.answer {
			t.Errorf("%s: %s, want %s", name, got, test.answer)
		}
	}
}

func TestWhileNothingIsSyncedTheMeshMapIsRefusedForNow(t *testing.T) {
	c := twoMeshes(t)
	c.unsynced = true
	want := refused(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, noMeshes)
	if diff := cmp.Diff(want, serve(t, c).ask(t, good(webhook.PathValidateMeshMap))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
