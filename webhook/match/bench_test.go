package match_test

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"

	"github.com/meshfence/meshfence/webhook/match"
)

// What it costs the API server to find out that meshfence is not asked about an UPDATE of a namespace, without mesh labels and
// with some: the condition of one webhook, beside one that looks at nothing. It makes the objects that conditions see anew for each
// webhook.
func BenchmarkNotSent(b *testing.B) {
	asked := of("istio-discovery", "mesh")
	for _, webhook := range []struct{ name, condition string }{
		{"nothing", "false"},
		{"validate", match.ValidateExpression(asked)},
		{"fill", match.FillExpression(asked)},
	} {
		for kind, labels := range map[string]fields{"without mesh labels": {"team": "a"}, "with a mesh label": {"istio-discovery": "a"}} {
			b.Run(webhook.name+"/"+kind, func(b *testing.B) {
				matcher := newCondition(webhook.condition)
				old, current := maps.Clone(labels), maps.Clone(labels)
				old["example.com/serial"], current["example.com/serial"] = "1", "2"
				request := attributesOf(with(old), with(current))
				b.ReportAllocs()
				for b.Loop() {
					attributes, err := admission.NewVersionedAttributes(request, corev1.SchemeGroupVersion.WithKind("Namespace"), interfaces)
					if err != nil {
						b.Fatal(err)
					}
					if result := matcher.Match(b.Context(), attributes, nil, nil); result.Error != nil || result.Matches {
						b.Fatal(result)
					}
				}
			})
		}
	}
}
