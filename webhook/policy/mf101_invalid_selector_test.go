package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF101WhenAMeshIsCreated(t *testing.T) {
	other := []string{"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"}
	runMeshCases(t, []meshCase{
		{
			name:   "if an operator is in lower case, then it is refused, and counts as discovering everything too",
			others: other, create: "Istio mesh-1; in istio-system-1; selects raw team in a",
			want: "deny MF101 deny MF102",
		},
		{
			name:   "if it is alone in the cluster, then an invalid selector is refused all the same",
			create: "Istio mesh-1; in istio-system-1; selects raw team in a",
			want:   "deny MF101",
		},
		{
			name:   "if an operator is unknown, then the ones that are allowed are named",
			create: "Istio mesh-1; in istio-system-1; selects raw team Like a",
			want:   "deny MF101",
		},
		{
			name:   "if In has no values, then it is refused",
			create: "Istio mesh-1; in istio-system-1; selects raw team In",
			want:   "deny MF101",
		},
		{
			name:   "if Exists has values, then it is refused",
			create: "Istio mesh-1; in istio-system-1; selects raw team Exists a",
			want:   "deny MF101",
		},
		{
			name:   "if DoesNotExist has values, then it is refused",
			create: "Istio mesh-1; in istio-system-1; selects raw team DoesNotExist a",
			want:   "deny MF101",
		},
		{
			name:   "if a key is no label key, then it is refused",
			create: "Istio mesh-1; in istio-system-1; selects raw team! Exists",
			want:   "deny MF101",
		},
		{
			name:   "if a value is no label value, then it is refused",
			create: "Istio mesh-1; in istio-system-1; selects raw team In -a",
			want:   "deny MF101",
		},
		{
			name:   "if several items are invalid, then each is reported with its path",
			create: "Istio mesh-1; in istio-system-1; selects raw team in a | istio-discovery=mesh-1 | raw team Exists a",
			want:   "deny MF101 deny MF101",
		},
		{
			name:   "if it is an IstioRevision that no Istio owns, then it is judged as an Istio is",
			create: "IstioRevision canary; in istio-system-1; selects raw team in a",
			want:   "deny MF101",
		},
		{
			name:   "if it runs no istiod here, then its selectors must parse all the same",
			create: "Istio mesh-1; in istio-system-1; profile remote; selects raw team in a",
			want:   "deny MF101",
		},
		{
			name:   "if items are empty or valid, then they are not invalid",
			create: "Istio mesh-1; in istio-system-1; selects team in (a),!env | none=x,!none",
			want:   "allow",
		},
		{
			name:   "if the configuration lowers the rule, then it warns",
			create: "Istio mesh-1; in istio-system-1; selects raw team in a", actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF101": policy.Warn}},
			want: "warn MF101 warn MF102",
		},
		{
			name:   "if the configuration switches the rule off, then only the others speak",
			create: "Istio mesh-1; in istio-system-1; selects raw team in a", actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF101": policy.Off}},
			want: "warn MF102",
		},
	})
}

func TestMF101WhenAMeshIsUpdated(t *testing.T) {
	const valid, invalid = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1", "Istio mesh-1; in istio-system-1; selects raw team in a"
	runMeshCases(t, []meshCase{
		{
			name: "if it becomes invalid, then it is refused",
			from: valid, to: invalid,
			want: "deny MF101",
		},
		{
			name: "if it was invalid before, then an unrelated change is admitted in silence",
			from: invalid, to: invalid + "; version v1.30.0",
			want: "allow",
		},
		{
			name: "if the invalid item only moves, then it is no new finding",
			from: invalid, to: "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1 | raw team in a",
			want: "warn MF101 warn MF102",
		},
		{
			name: "if a second item becomes invalid, then only that one denies",
			from: invalid, to: invalid + " | raw team Exists a",
			want: "deny MF101 warn MF101 warn MF102",
		},
		{
			name: "if it is repaired, then it is admitted without a word",
			from: invalid, to: valid,
			want: "allow",
		},
		{
			name:   "if an older revision's selector is invalid, then that is not the Istio's own",
			others: []string{"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects raw team in a"},
			from:   valid, to: valid + "; RevisionBased; version v1.30.0",
			want: "allow",
		},
		{
			name: "if it is being deleted, then it is never denied",
			from: valid, to: invalid, deleting: true,
			want: "allow",
		},
	})
}
