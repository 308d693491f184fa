package webhook_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// fillRequest asks the mutating webhook about a namespace with this metadata, in YAML's one-line form; old is "" on
// CREATE.
func fillRequest(metadata, old string) request {
	r := request{path: webhook.PathMutateNamespace, name: "blog", object: "{metadata: " + metadata + "}"}
	if old != "" {
		r.old = "{metadata: " + old + "}"
	}
	return r
}

// checkFilled fails unless an answer allows the request with exactly this JSON patch, and warnings that tell what was
// filled in and how to opt out.
func checkFilled(t *testing.T, got *admissionv1.AdmissionResponse, revision, patch string) {
	t.Helper()
	jsonPatch := admissionv1.PatchTypeJSONPatch
	want := allowed(got.Warnings...)
	want.Patch, want.PatchType = []byte(patch), &jsonPatch
	asText := cmp.Transformer("text", func(raw []byte) string { return string(raw) })
	if diff := cmp.Diff(want, got, asText); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	told := strings.Join(got.Warnings, "; ")
	if !strings.HasPrefix(told, "meshfence filled in istio.io/rev="+revision) || !strings.Contains(told, ", because ") || !strings.Contains(told, "meshfence.io/fill=false") {
		t.Errorf("warnings: %q", got.Warnings)
	}
}

const (
	addLabels      = `{"op":"add","path":"/metadata/labels","value":{}}`
	addAnnotations = `{"op":"add","path":"/metadata/annotations","value":{}}`
	addMesh1       = `{"op":"add","path":"/metadata/labels/istio.io~1rev","value":"mesh-1"}`
	rememberMesh1  = `{"op":"add","path":"/metadata/annotations/meshfence.io~1filled-revision","value":"mesh-1"}`
	addMesh2       = `{"op":"add","path":"/metadata/labels/istio.io~1rev","value":"mesh-2"}`
	rememberMesh2  = `{"op":"add","path":"/metadata/annotations/meshfence.io~1filled-revision","value":"mesh-2"}`
)

func patchOf(operations ...string) string { return "[" + strings.Join(operations, ",") + "]" }

func TestAForgottenRevisionIsFilledInAndRemembered(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for name, test := range map[string]struct{ metadata, old, patch string }{
		"if there are no annotations, then the map is added": {
			"{name: blog, labels: {istio-discovery: mesh-1}}", "", patchOf(addMesh1, addAnnotations, rememberMesh1),
		},
		"if the annotations are null, then the map is added": {
			"{name: blog, labels: {istio-discovery: mesh-1}, annotations: null}", "", patchOf(addMesh1, addAnnotations, rememberMesh1),
		},
		"if there are annotations, then they stay": {
			"{name: blog, labels: {istio-discovery: mesh-1}, annotations: {a: b}}", "", patchOf(addMesh1, rememberMesh1),
		},
		"if the annotations are empty, then they stay": {
			"{name: blog, labels: {istio-discovery: mesh-1}, annotations: {}}", "", patchOf(addMesh1, rememberMesh1),
		},
		"if the discovery label appears by an update, then too": {
			"{name: blog, labels: {istio-discovery: mesh-1}}", "{name: blog}", patchOf(addMesh1, addAnnotations, rememberMesh1),
		},
		"if the name is still to be generated, then too": {
			"{generateName: blog-, labels: {istio-discovery: mesh-1}}", "", patchOf(addMesh1, addAnnotations, rememberMesh1),
		},
	} {
		t.Run(name, func(t *testing.T) {
			checkFilled(t, s.ask(t, fillRequest(test.metadata, test.old)), "mesh-1", test.patch)
		})
	}
}

// A namespace without any label joins a mesh that names it.
func TestIfThereAreNoLabelsThenTheMapIsAdded(t *testing.T) {
	s := serve(t, &cluster{objects: mesh.Objects{Istios: []*sail.ControlPlane{
		controlPlane(t, istio("mesh-1", selecting("istio-system-1", "kubernetes.io/metadata.name", "blog"))),
	}}})
	for _, metadata := range []string{"{name: blog}", "{name: blog, labels: null, annotations: null}"} {
		checkFilled(t, s.ask(t, fillRequest(metadata, "")), "mesh-1", patchOf(addLabels, addMesh1, addAnnotations, rememberMesh1))
	}
	checkFilled(t, s.ask(t, fillRequest("{name: blog, labels: {}}", "")), "mesh-1", patchOf(addMesh1, addAnnotations, rememberMesh1))
}

func TestAFilledInRevisionFollowsTheDiscoveryLabel(t *testing.T) {
	s := serve(t, twoMeshes(t))
	const annotations = "annotations: {meshfence.io/filled-revision: mesh-1}"
	old := "{name: blog, labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}, " + annotations + "}"
	got := s.ask(t, fillRequest("{name: blog, labels: {istio-discovery: mesh-2, istio.io/rev: mesh-1}, "+annotations+"}", old))
	checkFilled(t, got, "mesh-2", patchOf(addMesh2, rememberMesh2))
}

func TestTheMeshMapIsFilledInBeforeTheIstioExists(t *testing.T) {
	s := serve(t, &cluster{objects: mesh.Objects{Map: map[string]string{"mesh-1": "prod"}}})
	got := s.ask(t, fillRequest("{name: blog, labels: {istio-discovery: mesh-1}}", ""))
	checkFilled(t, got, "prod", strings.ReplaceAll(patchOf(addMesh1, addAnnotations, rememberMesh1), "mesh-1", "prod"))
}

func TestANamespaceIsLeftAlone(t *testing.T) {
	s := serve(t, twoMeshes(t))
	const joins = "istio-discovery: mesh-1"
	for name, r := range map[string]request{
		"if no mesh discovers it":                fillRequest("{name: blog, labels: {team: a}}", ""),
		"if it has a revision":                   fillRequest("{name: blog, labels: {"+joins+", istio.io/rev: mesh-2}}", ""),
		"if it has an empty revision":            fillRequest("{name: blog, labels: {"+joins+", istio.io/rev: ''}}", ""),
		"if it has istio-injection":              fillRequest("{name: blog, labels: {"+joins+", istio-injection: disabled}}", ""),
		"if it is in ambient mode":               fillRequest("{name: blog, labels: {"+joins+", istio.io/dataplane-mode: ambient}}", ""),
		"if it is in an older product's mesh":    fillRequest("{name: blog, labels: {"+joins+", maistra.io/member-of: a}}", ""),
		"if it opts out by annotation":           fillRequest("{name: blog, labels: {"+joins+"}, annotations: {meshfence.io/fill: 'false'}}", ""),
		"if it opts out by label":                fillRequest("{name: blog, labels: {"+joins+", meshfence.io/fill: 'false'}}", ""),
		"if the update is an unrelated one":      fillRequest("{name: blog, labels: {"+joins+", team: a}}", "{name: blog, labels: {"+joins+"}}"),
		"if a person chose the revision":         fillRequest("{name: blog, labels: {istio-discovery: mesh-2, istio.io/rev: mesh-1}}", "{name: blog, labels: {"+joins+", istio.io/rev: mesh-1}}"),
		"if it is a control-plane namespace":     fillRequest("{name: istio-system-2, labels: {"+joins+"}}", ""),
		"if it has a control-plane name":         fillRequest("{name: istio-system-new, labels: {"+joins+"}}", ""),
		"if it is exempt":                        fillRequest("{name: kube-public, labels: {"+joins+"}}", ""),
		"if it will be exempt by generated name": fillRequest("{generateName: openshift-must-gather-, labels: {"+joins+"}}", ""),
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(allowed(), s.ask(t, r)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The name that will be generated is not the exempt one.
func TestANameThatBeginsLikeAnExemptOneIsFilledIn(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, generateName := range []string{"kube-system", "kube-", "openshift"} {
		got := s.ask(t, fillRequest("{generateName: "+generateName+", labels: {istio-discovery: mesh-1}}", ""))
		checkFilled(t, got, "mesh-1", patchOf(addMesh1, addAnnotations, rememberMesh1))
	}
}

func TestWithoutASourceNothingIsFilledIn(t *testing.T) {
	s := serve(t, twoMeshes(t), func(c *config.Configuration) { c.FillFrom = nil })
	if diff := cmp.Diff(allowed(), s.ask(t, fillRequest("{name: blog, labels: {istio-discovery: mesh-1}}", ""))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Nobody should be refused for a label that meshfence wrote.
func TestARevisionThatWouldBeRefusedIsNotFilledInAndTheUserIsTold(t *testing.T) {
	c := twoMeshes(t)
	c.objects.Map = map[string]string{"mesh-1": "mesh-2"}
	got := serve(t, c).ask(t, fillRequest("{name: blog, labels: {istio-discovery: mesh-1}}", ""))
	if diff := cmp.Diff(allowed(got.Warnings...), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got.Warnings) != 1 || !strings.HasPrefix(got.Warnings[0], `meshfence did not fill in istio.io/rev=mesh-2 for mesh "mesh-1", because that would break MF202 `) {
		t.Errorf("warnings: %q", got.Warnings)
	}
}

func TestWhileNothingIsSyncedANamespaceIsStoredWithoutTheLabelAndTheUserIsTold(t *testing.T) {
	c := twoMeshes(t)
	c.unsynced = true
	want := allowed("meshfence did not look whether istio.io/rev is to be filled in: it has not read the cluster's meshes yet")
	if diff := cmp.Diff(want, serve(t, c).ask(t, fillRequest("{name: blog, labels: {istio-discovery: mesh-1}}", ""))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// It would not be filled in anyway.
func TestWhileNothingIsSyncedAnExemptNamespaceIsStoredWithoutAWarning(t *testing.T) {
	c := twoMeshes(t)
	c.unsynced = true
	if diff := cmp.Diff(allowed(), serve(t, c).ask(t, fillRequest("{name: kube-public, labels: {istio-discovery: mesh-1}}", ""))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What is filled in is what the validating webhook then allows.
func TestAFilledInNamespaceIsAllowed(t *testing.T) {
	s := serve(t, twoMeshes(t))
	got := s.ask(t, namespaceRequest("blog", "istio-discovery=mesh-1,istio.io/rev=mesh-1", ""))
	if diff := cmp.Diff(admitted(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A request that is refused stores nothing that was filled in, so that is not told.
func TestWhatIsFilledInIsNotToldToAUserWhoMayNotUseTheMesh(t *testing.T) {
	c := twoMeshes(t)
	may := false
	c.allow = func(authorizationv1.SubjectAccessReviewSpec) (bool, error) { return may, nil }
	s := serve(t, c, asksForRights())
	const filled = "annotations: {meshfence.io/filled-revision: mesh-1}"
	created := fillRequest("{name: blog, labels: {istio-discovery: mesh-1}}", "")
	moved := fillRequest("{name: blog, labels: {istio-discovery: mesh-2, istio.io/rev: mesh-1}, "+filled+"}",
		"{name: blog, labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}, "+filled+"}")
	for _, r := range []request{created, moved} {
		r.user = "jane"
		if got := s.ask(t, r); !got.Allowed || len(got.Patch) == 0 || len(got.Warnings) > 0 {
			t.Errorf("refused later: %+v", got)
		}
		r.user = "system:kube-controller-manager"
		if got := s.ask(t, r); len(got.Warnings) == 0 {
			t.Errorf("exempt: %+v", got)
		}
	}
	may, created.user = true, "jane"
	checkFilled(t, s.ask(t, created), "mesh-1", patchOf(addMesh1, addAnnotations, rememberMesh1))
}
