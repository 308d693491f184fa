package sail_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/sail"
)

// megabyte is as much as an object may have.
var megabyte = strings.Repeat("x", 1<<20)

func TestWhatNothingReadsIsNotKept(t *testing.T) {
	raw := fmt.Sprintf(`{
		"kind": "Istio", "metadata": {"name": "mesh-1", "labels": {"a": %[1]q},
			"annotations": {"a": %[1]q, "meshfence.io/mine": %[1]q, "kubectl.kubernetes.io/last-applied-configuration": %[1]q, "meshfence.io/allow-overlap-until": ""},
			"ownerReferences": [
				{"apiVersion": "apps/v1", "kind": %[1]q, "name": "a", "controller": true},
				{"apiVersion": "sailoperator.io/v1", "kind": "Istio", "name": %[1]q},
				{"apiVersion": "sailoperator.io/%[2]s", "kind": "Istio", "name": "mesh-2", "uid": %[1]q, "controller": true}
			]
		},
		"spec": {"values": {"pilot": {"env": {"A": %[1]q, "REVISION": "r"}, "image": %[1]q}, "meshConfig": {"trustDomain": %[1]q}}}
	}`, megabyte, megabyte)
	got, yes, r := decode(t, raw), true, "r"
	want := &sail.ControlPlane{
		Kind: "Istio",
		Metadata: sail.Meta{
			Name: "mesh-1", Annotations: map[string]string{until: ""},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "sailoperator.io/v1", Kind: "Istio", Name: "mesh-2", Controller: &yes}},
		},
		Spec: sail.Spec{Values: sail.Values{Pilot: sail.Pilot{Env: sail.Env{Revision: &r}}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// textPlaces are those of the places where an object may have a text of any length that is read, besides the selectors. What
// the API server limits or writes itself is none.
func textPlaces(places []place) []place {
	var all []place
	for _, p := range places {
		switch {
		case p.expects != "string", strings.Contains(p.path, "Selectors"), strings.HasPrefix(p.path, "metadata."), p.path == "kind":
		default:
			all = append(all, p)
		}
	}
	return all
}

func TestATextThatIsTooLongIsNamedByItsPathAndNotKept(t *testing.T) {
	long, fits := strings.Repeat("x", 254), strings.Repeat("x", 253)
	places := textPlaces(controlPlanePlaces())
	if len(places) != 15 {
		t.Errorf("%d places, want 15", len(places))
	}
	for _, p := range places {
		if cp := decode(t, fmt.Sprintf(p.around, fmt.Sprintf("%q", fits))); cp.Malformed != nil {
			t.Errorf("%s: %v", p.path, cp.Malformed)
		}
		cp := decode(t, fmt.Sprintf(p.around, fmt.Sprintf("%q", long)))
		if want := p.path + ": found a text of 254 bytes; at most 253 bytes work there"; problem(cp.Malformed) != want {
			t.Errorf("malformed: %q, want %q", problem(cp.Malformed), want)
		}
		if stored := encode(t, cp); strings.Contains(stored, "xxx") {
			t.Errorf("%s: kept: %s", p.path, stored)
		}
	}
	for _, p := range textPlaces(tagPlaces()) {
		tag := decodeTag(t, fmt.Sprintf(p.around, fmt.Sprintf("%q", long)))
		if want := p.path + ": found a text of 254 bytes; at most 253 bytes work there"; problem(tag.Malformed) != want {
			t.Errorf("malformed: %q, want %q", problem(tag.Malformed), want)
		}
	}
}

func TestAnOwnerAndAnAnnotationThatAreTooLongAreNamedByTheirPathAndNotKept(t *testing.T) {
	for metadata, want := range map[string]string{
		fmt.Sprintf(`{"ownerReferences": [{"apiVersion": "sailoperator.io/v1", "kind": "Istio", "name": %q, "controller": true}]}`, megabyte): "metadata." +
			"ownerReferences.name: found a text of 1048576 bytes; at most 253 bytes work there",
		fmt.Sprintf(`{"ownerReferences": [{"apiVersion": "sailoperator.io/v1", "kind": %q, "name": "a", "controller": true}]}`, megabyte): "metadata." +
			"ownerReferences.kind: found a text of 1048576 bytes; at most 253 bytes work there",
		fmt.Sprintf(`{"annotations": {"meshfence.io/allow-overlap": %q}}`, megabyte): "metadata.annotations[meshfence.io/allow-overlap]: found a text of " +
			"1048576 bytes; at most 8192 bytes work there",
		fmt.Sprintf(`{"annotations": {"meshfence.io/override": %q}}`, strings.Repeat("x", 8192)): "",
	} {
		cp := decode(t, `{"metadata": `+metadata+`}`)
		if got := problem(cp.Malformed); got != want {
			t.Errorf("malformed: %q, want %q", got, want)
		}
		if size := len(encode(t, cp)); size > 9000 {
			t.Errorf("%s: %d bytes are kept", want, size)
		}
	}
}

// A claim of the ledger holds an object as JSON.
func TestAnObjectIsTheSameAfterItWasWrittenAndRead(t *testing.T) {
	for _, p := range controlPlanePlaces() {
		for _, value := range surprising() {
			before := decode(t, fmt.Sprintf(p.around, value))
			after := &sail.ControlPlane{Malformed: before.Malformed}
			if err := json.Unmarshal([]byte(encode(t, before)), after); err != nil {
				t.Fatal(err)
			}
			// Inside a selector, absent and empty are one and the same.
			if diff := cmp.Diff(before, after, cmp.Transformer("text", problem), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s of %s (-before +after):\n%s", p.path, value, diff)
			}
		}
	}
}

func TestWhatIsAbsentTakesNoRoomInAClaim(t *testing.T) {
	for raw, want := range map[string]string{
		`{}`:                                  `{}`,
		`{"metadata": {"name": "a"}}`:         `{"metadata":{"name":"a"}}`,
		`{"spec": {"namespace": "b"}}`:        `{"spec":{"namespace":"b"}}`,
		`{"spec": {"values": {"pilot": {}}}}`: `{}`,
		`{"spec": {"values": {"pilot": {"configMap": false}}}}`:                    `{"spec":{"values":{"pilot":{"configMap":false}}}}`,
		`{"spec": {"values": {"meshConfig": {"discoverySelectors": []}}}}`:         `{"spec":{"values":{"meshConfig":{"discoverySelectors":[]}}}}`,
		`{"spec": {"values": {"meshConfig": {"discoverySelectors": [{}, null]}}}}`: `{"spec":{"values":{"meshConfig":{"discoverySelectors":[{},null]}}}}`,
	} {
		if got := encode(t, decode(t, raw)); got != want {
			t.Errorf("%s: written as %s, want %s", raw, got, want)
		}
	}
}

func encode(t *testing.T, cp *sail.ControlPlane) string {
	t.Helper()
	raw, err := json.Marshal(cp)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestAVariableOfEnvVarFromReplacesThatOfEnv(t *testing.T) {
	got := decode(t, `{"spec": {"values": {"pilot": {
		"env": {"EXTERNAL_ISTIOD": "true", "PILOT_ENABLE_AMBIENT": "true", "PILOT_CRL_CONFIGMAP": "kept", "REVISION": "r"},
		"envVarFrom": [
			{"name": "EXTERNAL_ISTIOD", "value": "true"}, {"name": "EXTERNAL_ISTIOD", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}},
			{"name": "PILOT_ENABLE_AMBIENT", "value": ""}, {"name": "PILOT_CA_CERT_CONFIGMAP", "value": "a"},
			{"name": "ENABLE_CLUSTER_TRUST_BUNDLE_API", "value": "1"}, {"name": "REVISION"}, {"name": "SHARED_MESH_CONFIG", "value": "s"}, {"name": "OTHER", "value": "b"}
		]
	}}}}`)
	empty := ""
	want := sail.Pilot{Env: sail.Env{ExternalIstiod: "(valueFrom)", CRL: "kept", TrustBundle: "a", ClusterTrustBundle: "1", Ambient: &empty, Revision: &empty, Shared: "s"}}
	if diff := cmp.Diff(want, got.Spec.Values.Pilot); diff != "" || got.Malformed != nil {
		t.Errorf("malformed: %v (-want +got):\n%s", got.Malformed, diff)
	}
}
