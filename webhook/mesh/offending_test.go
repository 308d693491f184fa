package mesh_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// What is wrong is told apart by its content, and not by its place.
func TestWhatAnErrorIsAbout(t *testing.T) {
	requirement := func(key string, operator metav1.LabelSelectorOperator, values ...string) metav1.LabelSelectorRequirement {
		return metav1.LabelSelectorRequirement{Key: key, Operator: operator, Values: values}
	}
	cp := &sail.ControlPlane{Kind: sail.KindIstio, Metadata: sail.Meta{Name: "mesh-1"}}
	cp.Spec.Values.MeshConfig.DiscoverySelectors = []*metav1.LabelSelector{
		{MatchLabels: map[string]string{"fine": "fine"}},
		{MatchLabels: map[string]string{"bad]key[": "-bad", "example.com/team": "bad-"}},
		{MatchExpressions: []metav1.LabelSelectorRequirement{requirement("fine", "Exists"), requirement("team", "in", "a", "-b")}},
		{MatchExpressions: []metav1.LabelSelectorRequirement{requirement("bad!", "In", "a"), requirement("team", "In"), requirement("team", "In", "x", "-b")}},
	}
	source := &mesh.NewFleet(mesh.Objects{Istios: []*sail.ControlPlane{cp}}).Meshes()[0].Sources[0]
	var got []string
	for _, err := range source.Errors {
		got = append(got, source.Offending(err))
	}
	want := []string{"bad]key[", "bad]key[", "example.com/team", `team in ["a" "-b"]`, "team", "bad!", "team In []", "team"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An error from elsewhere is about its own place.
func TestWhatAnErrorIsAboutThatIsNoneOfTheSources(t *testing.T) {
	source := &mesh.Source{}
	for _, path := range []string{
		"", "spec.namespace", "spec.values.meshConfig.discoverySelectors", "spec.values.meshConfig.discoverySelectors[0].matchLabels[a]",
		"spec.values.meshConfig.discoverySelectors[x].matchLabels[a]", "spec.values.meshConfig.discoverySelectors[-1].matchExpressions[0].key",
	} {
		if got := source.Offending(&field.Error{Field: path}); got != path {
			t.Errorf("%q: %q", path, got)
		}
	}
}
