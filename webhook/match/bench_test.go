package match_test

import (
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/meshfence/meshfence/webhook/match"
)

// What it costs the API server to find out that meshfence is not to be asked about an UPDATE of a namespace, for each
// webhook, beside a condition that looks at nothing. It makes the objects that conditions see anew for each webhook.
func BenchmarkNotSent(b *testing.B) {
	keys := []string{"istio-discovery", "mesh"}
	for _, webhook := range []struct {
		name       string
		conditions []string
	}{
		{"nothing", []string{"false"}},
		{"validate", []string{match.ValidateExpression(keys)}},
		{"fill", []string{match.FillExpression(keys)}},
	} {
		b.Run(webhook.name, func(b *testing.B) {
			compiler := cel.NewConditionCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
			evaluator := compiler.CompileCondition(accessors(webhook.conditions...), cel.OptionalVariableDeclarations{HasAuthorizer: true}, environment.StoredExpressions)
			policy := admissionregistrationv1.Fail
			matcher := matchconditions.NewMatcher(evaluator, &policy, "webhook", "test", "test")
			request := attributesOf(with(fields{"team": "a", "example.com/serial": "1"}), with(fields{"team": "a", "example.com/serial": "2"}))
			interfaces := objectInterfaces()
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
