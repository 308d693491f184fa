package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf101 = policy.Rule{Code: "MF101", Name: "InvalidSelector", Action: policy.Deny}

func TestMF101WhenAMeshIsCreated(t *testing.T) {
	other := []string{"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"}
	runMeshCases(t, []meshCase{
		{
			name:   "if an operator is in lower case, then it is refused, and counts as discovering everything too",
			others: other, create: "Istio mesh-1; in istio-system-1; selects raw team in a",
			want: denied(policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator: ` +
					`Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?; a ` +
					`running istiod would keep its old selectors, and at its next start discover every namespace while ` +
					`it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team in ["a"]: Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?`},
			}, policy.Finding{
				Rule: mf102, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors`,
				Detail: `Istio "mesh-1" has a selector that does not parse and so counts as discovering every namespace, ` +
					`also those of mesh "mesh-2": their istiods would overwrite each other's ConfigMap istio-ca-root-cert`,
				Remedy: `Give it a selector of its own: spec: {values: {meshConfig: {discoverySelectors: [{matchLabels: ` +
					`{istio-discovery: mesh-1}}]}}}`,
				Subjects: []string{"mesh-2"},
			}),
		},
		{
			name:   "if it is alone in the cluster, then an invalid selector is refused all the same",
			create: "Istio mesh-1; in istio-system-1; selects raw team in a",
			want: denied(policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator: ` +
					`Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?; a ` +
					`running istiod would keep its old selectors, and at its next start discover every namespace while ` +
					`it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team in ["a"]: Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?`},
			}),
		},
		{
			name:   "if an operator is unknown, then the ones that are allowed are named",
			create: "Istio mesh-1; in istio-system-1; selects raw team Like a",
			want: denied(policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator: ` +
					`Unsupported value: "Like": must be one of In, NotIn, Exists, DoesNotExist; a running istiod would ` +
					`keep its old selectors, and at its next start discover every namespace while it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team Like ["a"]: Unsupported value: "Like": must be one of In, NotIn, Exists, DoesNotExist`},
			}),
		},
		{
			name:   "if In has no values, then it is refused",
			create: "Istio mesh-1; in istio-system-1; selects raw team In",
			want: denied(policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].values`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].values: Required ` +
					`value: operator In needs at least one value; a running istiod would keep its old selectors, and at ` +
					`its next start discover every namespace while it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{"team In []: Required value: operator In needs at least one value"},
			}),
		},
		{
			name:   "if Exists has values, then it is refused",
			create: "Istio mesh-1; in istio-system-1; selects raw team Exists a",
			want: denied(policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].values`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].values: Forbidden: ` +
					`operator Exists takes no values; In does; a running istiod would keep its old selectors, and at its ` +
					`next start discover every namespace while it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team Exists ["a"]: Forbidden: operator Exists takes no values; In does`},
			}),
		},
		{
			name:   "if DoesNotExist has values, then it is refused",
			create: "Istio mesh-1; in istio-system-1; selects raw team DoesNotExist a",
			want: denied(policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].values`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].values: Forbidden: ` +
					`operator DoesNotExist takes no values; NotIn does; a running istiod would keep its old selectors, ` +
					`and at its next start discover every namespace while it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team DoesNotExist ["a"]: Forbidden: operator DoesNotExist takes no values; NotIn does`},
			}),
		},
		{
			name:   "if a key is no label key, then it is refused",
			create: "Istio mesh-1; in istio-system-1; selects raw team! Exists",
			want: denied(policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].key`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].key: Invalid ` +
					`value: "team!": name part must consist of alphanumeric characters, '-', '_' or '.', and must start ` +
					`and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for ` +
					`validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'); a running istiod would keep its old ` +
					`selectors, and at its next start discover every namespace while it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team!: Invalid value: "team!": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`},
			}),
		},
		{
			name:   "if a value is no label value, then it is refused",
			create: "Istio mesh-1; in istio-system-1; selects raw team In -a",
			want: denied(policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].values[0]`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].values[0]: Invalid ` +
					`value: "-a": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' ` +
					`or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or ` +
					`'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?'); a running ` +
					`istiod would keep its old selectors, and at its next start discover every namespace while it ` +
					`reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team: Invalid value: "-a": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`},
			}),
		},
		{
			name:   "if several items are invalid, then each is reported with its path",
			create: "Istio mesh-1; in istio-system-1; selects raw team in a | istio-discovery=mesh-1 | raw team Exists a",
			want: denied(policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator: ` +
					`Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?; a ` +
					`running istiod would keep its old selectors, and at its next start discover every namespace while ` +
					`it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team in ["a"]: Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?`},
			}, policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[2].matchExpressions[0].values`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[2].matchExpressions[0].values: Forbidden: ` +
					`operator Exists takes no values; In does; a running istiod would keep its old selectors, and at its ` +
					`next start discover every namespace while it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team Exists ["a"]: Forbidden: operator Exists takes no values; In does`},
			}),
		},
		{
			name:   "if it is an IstioRevision that no Istio owns, then it is judged as an Istio is",
			create: "IstioRevision canary; in istio-system-1; selects raw team in a",
			want: denied(policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator`,
				Detail: `IstioRevision "canary": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator: ` +
					`Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?; a ` +
					`running istiod would keep its old selectors, and at its next start discover every namespace while ` +
					`it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team in ["a"]: Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?`},
			}),
		},
		{
			name:   "if it runs no istiod here, then its selectors must parse all the same",
			create: "Istio mesh-1; in istio-system-1; profile remote; selects raw team in a",
			want: denied(policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator: ` +
					`Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?; a ` +
					`running istiod would keep its old selectors, and at its next start discover every namespace while ` +
					`it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team in ["a"]: Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?`},
			}),
		},
		{
			name:   "if items are empty or valid, then they are not invalid",
			create: "Istio mesh-1; in istio-system-1; selects team in (a),!env | none=x,!none",
			want:   allowed(),
		},
		{
			name:   "if the configuration lowers the rule, then it warns",
			create: "Istio mesh-1; in istio-system-1; selects raw team in a", actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF101": policy.Warn}},
			want: warned(policy.Finding{
				Rule: mf101, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator: ` +
					`Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?; a ` +
					`running istiod would keep its old selectors, and at its next start discover every namespace while ` +
					`it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team in ["a"]: Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?`},
			}, policy.Finding{
				Rule: mf102, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
				Detail: `Istio "mesh-1" has a selector that does not parse and so counts as discovering every namespace; ` +
					`that does no harm only while it is the only mesh in the cluster`,
				Remedy: `Give it a selector of its own: spec: {values: {meshConfig: {discoverySelectors: [{matchLabels: ` +
					`{istio-discovery: mesh-1}}]}}}`,
			}),
		},
		{
			name:   "if the configuration switches the rule off, then only the others speak",
			create: "Istio mesh-1; in istio-system-1; selects raw team in a", actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF101": policy.Off}},
			want: warned(policy.Finding{
				Rule: mf102, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
				Detail: `Istio "mesh-1" has a selector that does not parse and so counts as discovering every namespace; ` +
					`that does no harm only while it is the only mesh in the cluster`,
				Remedy: `Give it a selector of its own: spec: {values: {meshConfig: {discoverySelectors: [{matchLabels: ` +
					`{istio-discovery: mesh-1}}]}}}`,
			}),
		},
	})
}

func TestMF101WhenAMeshIsUpdated(t *testing.T) {
	const valid, invalid = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1", "Istio mesh-1; in istio-system-1; selects raw team in a"
	runMeshCases(t, []meshCase{
		{
			name: "if it becomes invalid, then it is refused",
			from: valid, to: invalid,
			want: denied(policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator: ` +
					`Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?; a ` +
					`running istiod would keep its old selectors, and at its next start discover every namespace while ` +
					`it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team in ["a"]: Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?`},
			}),
		},
		{
			name: "if it was invalid before, then an unrelated change is admitted in silence",
			from: invalid, to: invalid + "; version v1.30.0",
			want: allowed(),
		},
		{
			name: "if the invalid item only moves, then it is no new finding",
			from: invalid, to: "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1 | raw team in a",
			want: warned(policy.Finding{
				Rule: mf101, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors[1].matchExpressions[0].operator`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[1].matchExpressions[0].operator: ` +
					`Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?; a ` +
					`running istiod would keep its old selectors, and at its next start discover every namespace while ` +
					`it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team in ["a"]: Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?`},
			}, policy.Finding{
				Rule: mf102, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
				Detail: `Istio "mesh-1" has a selector that does not parse and so counts as discovering every namespace; ` +
					`that does no harm only while it is the only mesh in the cluster`,
				Remedy: `Give it a selector of its own: kubectl patch istios.sailoperator.io mesh-1 --type=merge -p ` +
					`'{"spec":{"values":{"meshConfig":{"discoverySelectors":[{"matchLabels":{"istio-discovery":"mesh-1"}}]}}}}'`,
			}),
		},
		{
			name: "if a second item becomes invalid, then only that one denies",
			from: invalid, to: invalid + " | raw team Exists a",
			want: also(denied(policy.Finding{
				Rule: mf101, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[1].matchExpressions[0].values`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[1].matchExpressions[0].values: Forbidden: ` +
					`operator Exists takes no values; In does; a running istiod would keep its old selectors, and at its ` +
					`next start discover every namespace while it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team Exists ["a"]: Forbidden: operator Exists takes no values; In does`},
			}), policy.Finding{
				Rule: mf101, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator`,
				Detail: `Istio "mesh-1": spec.values.meshConfig.discoverySelectors[0].matchExpressions[0].operator: ` +
					`Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?; a ` +
					`running istiod would keep its old selectors, and at its next start discover every namespace while ` +
					`it reports Ready`,
				Remedy: `Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values ` +
					`follow the syntax of labels`,
				Subjects: []string{`team in ["a"]: Unsupported value: "in": must be one of In, NotIn, Exists, DoesNotExist; did you mean In?`},
			}, policy.Finding{
				Rule: mf102, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
				Detail: `Istio "mesh-1" has a selector that does not parse and so counts as discovering every namespace; ` +
					`that does no harm only while it is the only mesh in the cluster`,
				Remedy: `Give it a selector of its own: kubectl patch istios.sailoperator.io mesh-1 --type=merge -p ` +
					`'{"spec":{"values":{"meshConfig":{"discoverySelectors":[{"matchLabels":{"istio-discovery":"mesh-1"}}]}}}}'`,
			}),
		},
		{
			name: "if it is repaired, then it is admitted without a word",
			from: invalid, to: valid,
			want: allowed(),
		},
		{
			name:   "if an older revision's selector is invalid, then that is not the Istio's own",
			others: []string{"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects raw team in a"},
			from:   valid, to: valid + "; RevisionBased; version v1.30.0",
			want: allowed(),
		},
		{
			name: "if it is being deleted, then it is never denied",
			from: valid, to: invalid, deleting: true,
			want: allowed(),
		},
	})
}
