package match_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"

	"github.com/meshfence/meshfence/webhook/match"
)

// What it costs the API server to find out that meshfence is not to be asked about an UPDATE of a namespace: without mesh labels,
// by the selectors of all webhooks together, and with some, by the condition of one, beside one that looks at nothing. It makes
// the objects that conditions see anew for each webhook.
func BenchmarkNotSent(b *testing.B) {
	keys := []string{"istio-discovery", "mesh"}
	b.Run("selectors", func(b *testing.B) {
		validate, fill := match.ValidateExpression(keys), match.FillExpression(keys)
		all := slices.Concat(webhooks(b, match.JudgeLabels(), match.Keys(validate), validate),
			webhooks(b, match.FillLabels(), match.Keys(fill), fill))
		old, current := with(fields{"team": "a", "example.com/serial": "1"}), with(fields{"team": "a", "example.com/serial": "2"})
		b.ReportAllocs()
		for b.Loop() {
			for _, webhook := range all {
				if webhook.selects(old, current) {
					b.Fatal("selected")
				}
			}
		}
	})
	for _, webhook := range []struct {
		name       string
		conditions []string
	}{
		{"nothing", []string{"false"}},
		{"validate", []string{match.ValidateExpression(keys)}},
		{"fill", []string{match.FillExpression(keys)}},
	} {
		b.Run(webhook.name, func(b *testing.B) {
			matcher := newCondition(webhook.conditions...)
			request := attributesOf(with(fields{"istio-discovery": "a", "example.com/serial": "1"}), with(fields{"istio-discovery": "a", "example.com/serial": "2"}))
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
