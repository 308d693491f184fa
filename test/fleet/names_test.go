package fleet

import (
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// names: a mesh goes by the names of namespaces, with every operator, and no replica answers. The creation of a namespace is refused
// if the mesh names it, or if the names cannot be listed; nothing else is.
func (s *suite) names(t *testing.T) {
	everybody := []string{"shop", "cart", "blog"}
	for _, test := range []struct {
		name, selector string
		refused        []string
	}{
		{"matchLabels", "{matchLabels: {NAME: shop}}", []string{"shop"}},
		{"In", "{matchExpressions: [{key: NAME, operator: In, values: [shop, cart]}]}", []string{"shop", "cart"}},
		{"NotIn", "{matchExpressions: [{key: NAME, operator: NotIn, values: [shop]}]}", everybody},
		{"Exists", "{matchExpressions: [{key: NAME, operator: Exists}]}", everybody},
		{"DoesNotExist, which selects no namespace", "{matchExpressions: [{key: NAME, operator: DoesNotExist}]}", nil},
		{"NotIn beside a label", "{matchLabels: {team: x}, matchExpressions: [{key: NAME, operator: NotIn, values: [shop]}]}", nil},
		{"In without a label", "{matchExpressions: [{key: NAME, operator: In, values: [shop]}, {key: team, operator: DoesNotExist}]}", []string{"shop"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.must(t, s.Reset(t.Context()))
			s.must(t, s.InstallWorkload(t.Context()))
			s.create(t, selecting(t, strings.ReplaceAll(test.selector, "NAME", mesh.NameLabel)))
			r := s.newReplica(t, nil)
			r.wantMeshes(t, soon, "created", "named")
			s.must(t, s.InstallWebhooks(t.Context()))
			asked := match.Of(r.Fleet())
			asked.Keys = append([]string{"istio-discovery", "mesh"}, asked.Keys...)
			want := match.ValidateExpression(asked)
			eventually(t, soon, "what the selectors look at is asked about", func() bool {
				return slices.ContainsFunc(s.configurations(t).conditions(), func(c *admissionregistrationv1.MatchCondition) bool { return c.Expression == want })
			})
			s.must(t, s.WaitWebhooks(t.Context()))
			s.onlyRefused(t, test.refused, everybody)
		})
	}
}

// onlyRefused creates namespaces without labels, in dry runs, and changes one that exists.
func (s *suite) onlyRefused(t *testing.T, refused, names []string) {
	t.Helper()
	for _, name := range names {
		err := s.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, client.DryRunAll)
		if err != nil && !strings.Contains(err.Error(), "failed calling webhook") {
			t.Fatal(err)
		}
		if got, want := err != nil, slices.Contains(refused, name); got != want {
			t.Errorf("namespace %s is created: refused: %t, want %t", name, got, want)
		}
	}
	changed := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if err := s.Client.Patch(t.Context(), changed, patch(`{"metadata":{"labels":{"colour":"blue"},"annotations":{"a":"b"}}}`), client.DryRunAll); err != nil {
		t.Errorf("a namespace gets another label: %v", err)
	}
	if err := s.Client.Patch(t.Context(), changed, patch(`{"metadata":{"labels":{"istio.io/dataplane-mode":"ambient"}}}`), client.DryRunAll); err == nil {
		t.Error("a namespace gets a mesh label, unasked")
	}
}

// selecting returns an Istio called named, with one selector, in YAML.
func selecting(t *testing.T, selector string) *unstructured.Unstructured {
	t.Helper()
	u := istio("named", "replaced")
	var fields map[string]any
	if err := yaml.Unmarshal([]byte(selector), &fields); err != nil {
		t.Fatal(err)
	}
	if err := unstructured.SetNestedSlice(u.Object, []any{fields}, "spec", "values", "meshConfig", "discoverySelectors"); err != nil {
		t.Fatal(err)
	}
	return u
}
