package webhook_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
)

const (
	dropLabel      = `{"op":"remove","path":"/metadata/labels/istio.io~1rev"}`
	dropAnnotation = `{"op":"remove","path":"/metadata/annotations/meshfence.io~1filled-revision"}`
	remembered     = "annotations: {meshfence.io/filled-revision: mesh-1}"
)

// checkRemoved fails unless an answer allows the request with exactly this JSON patch, and one warning.
func checkRemoved(t *testing.T, got *admissionv1.AdmissionResponse, patch string) {
	t.Helper()
	jsonPatch := admissionv1.PatchTypeJSONPatch
	want := allowed(got.Warnings...)
	want.Patch, want.PatchType = []byte(patch), &jsonPatch
	asText := cmp.Transformer("text", func(raw []byte) string { return string(raw) })
	if diff := cmp.Diff(want, got, asText); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// There is nothing to opt out of any more.
	if len(got.Warnings) != 1 || !strings.HasPrefix(got.Warnings[0], "meshfence removed istio.io/rev=mesh-1, which it had filled in, because ") ||
		strings.Contains(got.Warnings[0], "meshfence.io/fill=false") {
		t.Errorf("warnings: %q", got.Warnings)
	}
}

func TestAFilledInRevisionLeavesAndYields(t *testing.T) {
	s := serve(t, twoMeshes(t))
	const in = "istio-discovery: mesh-1, istio.io/rev: mesh-1"
	old := "{name: blog, labels: {" + in + "}, " + remembered + "}"
	for name, test := range map[string]struct{ metadata, patch string }{
		"if the discovery label goes": {"{name: blog, labels: {istio.io/rev: mesh-1}, " + remembered + "}", patchOf(dropLabel, dropAnnotation)},
		"if the annotation went too":  {"{name: blog, labels: {istio.io/rev: mesh-1}}", patchOf(dropLabel)},
		"if other annotations stay":   {"{name: blog, labels: {istio.io/rev: mesh-1}, annotations: {a: b}}", patchOf(dropLabel)},
		"if istio-injection appears":  {"{name: blog, labels: {" + in + ", istio-injection: enabled}, " + remembered + "}", patchOf(dropLabel, dropAnnotation)},
		"if ambient mode appears":     {"{name: blog, labels: {" + in + ", istio.io/dataplane-mode: ambient}, " + remembered + "}", patchOf(dropLabel, dropAnnotation)},
	} {
		t.Run(name, func(t *testing.T) { checkRemoved(t, s.ask(t, fillRequest(test.metadata, old)), test.patch) })
	}
}

// managedBy is metadata.managedFields with a manager of the operation that owns these fields.
func managedBy(operation, fields string) string {
	return fmt.Sprintf("managedFields: [{manager: kubectl, operation: Update, fieldsV1: {'f:metadata': {'f:labels': {'f:team': {}}}}}, "+
		"{manager: other, operation: %s, apiVersion: v1, fieldsType: FieldsV1, time: '2026-08-01T00:00:00Z', fieldsV1: {'f:metadata': %s}}]", operation, fields)
}

const (
	ownsNeither = "{'f:annotations': {.: {}}, 'f:labels': {.: {}, 'f:istio-discovery': {}}}"
	ownsLabel   = "{'f:labels': {'f:istio.io/rev': {}}}"
	ownsBoth    = "{'f:annotations': {'f:meshfence.io/filled-revision': {}}, 'f:labels': {'f:istio.io/rev': {}}}"
)

func TestWhoseARevisionIsByFieldManagersAndAnnotation(t *testing.T) {
	s := serve(t, twoMeshes(t))
	const before, after = "labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}", "labels: {istio-discovery: mesh-2, istio.io/rev: mesh-1}"
	for name, test := range map[string]struct {
		old, updated string // what else there is in the metadata
		follows      bool
	}{
		"if there is the annotation and nothing is known of managers, then it follows":    {remembered, remembered, true},
		"if there is neither, then it stays":                                              {"uid: a", "uid: a", false},
		"if no manager owns it, then it follows":                                          {managedBy("Update", ownsNeither), managedBy("Update", ownsNeither), true},
		"if no manager owns it any more since managers were forgotten, then it stays":     {"managedFields: []", managedBy("Update", ownsNeither), false},
		"if a manager has written it, then it stays":                                      {remembered + ", " + managedBy("Update", ownsLabel), remembered + ", " + managedBy("Update", ownsLabel), false},
		"if a manager has applied it, then it stays":                                      {remembered + ", " + managedBy("Apply", ownsLabel), remembered + ", " + managedBy("Apply", ownsLabel), false},
		"if the request applies it, then it stays":                                        {remembered + ", " + managedBy("Update", ownsNeither), remembered + ", " + managedBy("Apply", ownsLabel), false},
		"if it was created as a copy, with the annotation, then it follows":               {remembered + ", " + managedBy("Update", ownsBoth), remembered + ", " + managedBy("Update", ownsBoth), true},
		"if it is applied with the annotation, then a repository has it, and it stays":    {remembered + ", " + managedBy("Apply", ownsBoth), remembered + ", " + managedBy("Apply", ownsBoth), false},
		"if managers cannot be read, then the annotation counts":                          {remembered + ", managedFields: 5", remembered + ", managedFields: 5", true},
		"if the fields of a manager cannot be read, then the annotation counts":           {remembered + ", " + managedBy("Update", "[]"), remembered + ", " + managedBy("Update", "[]"), true},
		"if managers cannot be read and there is no annotation, then it stays":            {"managedFields: 5", "managedFields: 5", false},
		"if the annotation goes in the request and no manager owns the label, it follows": {remembered + ", " + managedBy("Update", ownsNeither), managedBy("Update", ownsNeither), true},
		"if the annotation has another value and a manager owns the label, then it stays": {"annotations: {meshfence.io/filled-revision: mesh-2}, " + managedBy("Update", ownsBoth), managedBy("Update", ownsBoth), false},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.ask(t, fillRequest("{name: blog, "+after+", "+test.updated+"}", "{name: blog, "+before+", "+test.old+"}"))
			if follows := strings.Contains(string(got.Patch), `"value":"mesh-2"`); follows != test.follows || !got.Allowed {
				t.Errorf("allowed %t with %q and patch %s; follows: want %t", got.Allowed, got.Warnings, got.Patch, test.follows)
			}
		})
	}
}

func TestARevisionThatWasReplacedAwayIsFilledInAgain(t *testing.T) {
	s := serve(t, twoMeshes(t))
	old := "{name: blog, labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}, " + remembered + "}"
	checkFilled(t, s.ask(t, fillRequest("{name: blog, labels: {istio-discovery: mesh-1}}", old)), "mesh-1", patchOf(addMesh1, addAnnotations, rememberMesh1))
}

func TestIfTheAnnotationWasLostThenAReplacementIsToldFromARemovalByTheUID(t *testing.T) {
	s := serve(t, twoMeshes(t))
	old := "{name: blog, uid: a, labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}, " + managedBy("Update", ownsNeither) + "}"
	for updated, again := range map[string]bool{
		"{name: blog, labels: {istio-discovery: mesh-1}}":                                                      true,
		"{name: blog, uid: '', labels: {istio-discovery: mesh-1}}":                                             true,
		"{name: blog, uid: a, labels: {istio-discovery: mesh-1}, " + managedBy("Update", ownsNeither) + "}":    false,
		"{name: blog, uid: 5, labels: {istio-discovery: mesh-1}}":                                              false,
		"{name: blog, labels: {istio-discovery: mesh-1}, annotations: {meshfence.io/filled-revision: mesh-1}}": false,
		"{name: blog, labels: {istio-discovery: mesh-1}, annotations: {meshfence.io/fill: 'false'}}":           false,
	} {
		got := s.ask(t, fillRequest(updated, old))
		if filled := strings.Contains(string(got.Patch), `"value":"mesh-1"`); filled != again || !got.Allowed {
			t.Errorf("%s: patch %s, filled in again: want %t, warnings %q", updated, got.Patch, again, got.Warnings)
		}
	}
}

func TestARevisionThatAPersonRemovesStaysAwayAndThatIsTold(t *testing.T) {
	s := serve(t, twoMeshes(t))
	old := "{name: blog, labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}, " + remembered + "}"
	got := s.ask(t, fillRequest("{name: blog, labels: {istio-discovery: mesh-1}, "+remembered+"}", old))
	want := allowed(`meshfence does not fill in istio.io/rev=mesh-1 again as long as this namespace stays in mesh "mesh-1"; ` +
		`to opt out for good: kubectl annotate namespace blog meshfence.io/fill=false`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
