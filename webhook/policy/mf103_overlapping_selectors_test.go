package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF103WhenAMeshIsCreated(t *testing.T) {
	other := []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"}
	runMeshCases(t, []meshCase{
		{
			name:   "if its selector was copied from another mesh, then it is refused",
			others: other, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-1",
			want: "deny MF103",
		},
		{
			name:   "if it has a label of its own, then it is admitted",
			others: other, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want: "allow",
		},
		{
			name:   "if existing namespaces match both, then they are named",
			others: other, create: "Istio mesh-2; in istio-system-2; selects istio-discovery in (mesh-1,mesh-2)",
			namespaces: numbered(t, 3, "istio-discovery=mesh-1"),
			want:       "deny MF103",
		},
		{
			name:   "if more than ten existing namespaces match both, then ten are named and the others counted",
			others: other, create: "Istio mesh-2; in istio-system-2; selects istio-discovery in (mesh-1,mesh-2)",
			namespaces: append(numbered(t, 12, "istio-discovery=mesh-1"), *namespace(t, "other", "istio-discovery=mesh-2")),
			want:       "deny MF103",
		},
		{
			name:   "if the selectors turn on different labels, then some namespace could have both, and the remedy keeps them apart",
			others: other, create: "Istio mesh-2; in istio-system-2; selects team=a",
			want: "deny MF103",
		},
		{
			name:   "if the other mesh takes every value of the label, then the example uses another label, and leaves that one out",
			others: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery"},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want:   "deny MF103",
		},
		{
			name: "if another mesh already took the label that is named after this one, then the example uses another label and leaves that one out",
			others: []string{
				"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-2",
			},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want:   "deny MF103",
		},
		{
			name:   "if all the discovery labels are taken, then there is no example",
			others: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery | mesh"},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want:   "deny MF103",
		},
		{
			name:   "if both match what lacks a label, then a namespace without labels is the witness",
			others: []string{"Istio mesh-1; in istio-system-1; selects !team"},
			create: "Istio mesh-2; in istio-system-2; selects env notin (prod)",
			want:   "deny MF103",
		},
		{
			name:   "if one needs a label and the other its absence, then they are apart",
			others: []string{"Istio mesh-1; in istio-system-1; selects !team"},
			create: "Istio mesh-2; in istio-system-2; selects team notin (a),team",
			want:   "allow",
		},
		{
			name:   "if the other mesh has no selectors, then it needs one first",
			others: []string{"Istio mesh-1; in istio-system-1"}, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want: "deny MF103",
		},
		{
			name:   "if the other mesh has {} besides, then that item is named",
			others: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1 | {}"},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want:   "deny MF103",
		},
		{
			name:   "if the other mesh has an invalid selector, then it counts as everything, never as nothing",
			others: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1 | raw team in a"},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want:   "deny MF103",
		},
		{
			name:   "if a part of the other mesh cannot be read, then it counts as everything",
			others: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1; malformed spec.values"},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want:   "deny MF103",
		},
		{
			name: "if an older revision of the other mesh still has the label, then it is refused",
			others: []string{
				"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-2",
				"IstioRevision mesh-1-v1-30-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want:   "deny MF103",
		},
		{
			name: "if an older revision of the other mesh discovers everything, then it has to go first",
			others: []string{
				"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1",
			},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want:   "deny MF103",
		},
		{
			name: "if the active revision of the other mesh does not have its new selectors yet, then the operator has to be waited for",
			others: []string{
				"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1; of mesh-1; in istio-system-1",
			},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want:   "deny MF103",
		},
		{
			name:   "if one more pair of selectors overlaps, then it is counted",
			others: []string{"Istio mesh-1; in istio-system-1; selects team=a | team=b"},
			create: "Istio mesh-2; in istio-system-2; selects team",
			want:   "deny MF103",
		},
		{
			name:   "if several more pairs overlap, then they are counted",
			others: []string{"Istio mesh-1; in istio-system-1; selects team=a | team=b"},
			create: "Istio mesh-2; in istio-system-2; selects team=c | team in (b,a) | env=prod",
			want:   "deny MF103",
		},
		{
			name: "if it overlaps with several meshes, then each is a finding, by name",
			others: []string{
				"Istio mesh-3; in istio-system-3; selects team=c",
				"IstioRevision canary; in istio-system-4; selects team=d",
				"Istio mesh-1; in istio-system-1; selects team=a",
			},
			create: "Istio mesh-2; in istio-system-2; selects team in (a,c,d)",
			want:   "deny MF103 deny MF103 deny MF103",
		},
		{
			name: "if the other is an IstioRevision whose owner is gone, then its istiod still runs and counts",
			others: []string{
				"IstioRevision mesh-1; of gone; in istio-system-1; selects istio-discovery=mesh-2",
			},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want:   "deny MF103",
		},
		{
			name:   "if it is an IstioRevision that no Istio owns, then it is judged as an Istio is",
			others: other, create: "IstioRevision canary; in istio-system-2; selects istio-discovery=mesh-1",
			want: "deny MF103",
		},
		{
			name: "if an IstioRevision has its name and runs elsewhere, then the one thing that is told is how to take it over",
			others: []string{
				"IstioRevision mesh-1; in istio-system-2; selects istio-discovery=mesh-1",
			},
			create: "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			want:   "deny MF106",
		},
		{
			name:   "if the selectors turn on names of namespaces, then the witness has a name",
			others: []string{"Istio mesh-1; in istio-system-1; selects kubernetes.io/metadata.name in (a,b)"},
			create: "Istio mesh-2; in istio-system-2; selects kubernetes.io/metadata.name in (b,c)",
			want:   "deny MF103",
		},
		{
			name:   "if the other mesh's istiod does not read its selectors, then that is what has to change",
			others: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1; with {pilot: {configMap: false}}"},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want:   "deny MF103",
		},
		{
			name:   "if an item of either contradicts itself, then that one selects nothing",
			others: []string{"Istio mesh-1; in istio-system-1; selects none=x,!none"},
			create: "Istio mesh-2; in istio-system-2; selects none=x,!none | istio-discovery=mesh-2",
			want:   "allow",
		},
		{
			name:   "if the other mesh's istiod runs elsewhere, then its selectors discover nothing here",
			others: []string{"Istio mesh-1; in istio-system-1; profile remote; selects istio-discovery=mesh-2"},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want:   "allow",
		},
		{
			name:   "if it declares the overlap, then it is admitted",
			others: other, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-1; overlaps mesh-9,mesh-1",
			want: "warn MF115",
		},
		{
			name:   "if the other mesh declares the overlap until later, then it is admitted",
			others: []string{other[0] + "; overlaps mesh-2; until 2026-08-01T14:00:01+02:00"},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-1",
			want:   "warn MF115",
		},
		{
			name:   "if the other mesh's declaration has expired, then it is refused",
			others: []string{other[0] + "; overlaps mesh-2; until 2026-08-01T14:00:00+02:00"},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-1",
			want:   "deny MF103 warn MF115",
		},
		{
			name:   "if the declaration names another mesh, then it is refused",
			others: other, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-1; overlaps mesh-3",
			want: "deny MF103",
		},
		{
			name:   "if the trust bundles have different names, then the overlap harms nobody",
			others: other, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-1; bundle other-root",
			want: "warn MF115",
		},
		{
			name: "if only its older revision shares the trust bundle, then those two fight",
			others: []string{
				"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1; bundle own; RevisionBased; version v1.30.0",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery in (mesh-1,mesh-2)",
			want:   "deny MF103",
		},
		{
			name:   "if one of its selectors is for everything and another overlaps, then both rules speak",
			others: other, create: "Istio mesh-2; in istio-system-2; selects {} | istio-discovery=mesh-1",
			want: "deny MF102 deny MF103",
		},
		{
			name:   "if the rule only warns, then it is admitted with a warning",
			others: other, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF103": policy.Warn}},
			want:    "warn MF103",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: other, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF103": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF103WhenAMeshIsUpdated(t *testing.T) {
	other := []string{"Istio mesh-1; in istio-system-1; selects team in (a,b)"}
	const mesh2 = "Istio mesh-2; in istio-system-2; "
	runMeshCases(t, []meshCase{
		{
			name:   "if it begins to overlap, then it is refused",
			others: other, from: mesh2 + "selects team=c", to: mesh2 + "selects team=c | team=b",
			want: "deny MF103",
		},
		{
			name:   "if it overlapped before, then an unrelated change is admitted in silence",
			others: other, from: mesh2 + "selects team in (a,b)", to: mesh2 + "selects team in (a,b); version v1.30.0",
			want: "allow",
		},
		{
			name:   "if it overlaps less than before, then it is admitted with a warning, even if the selectors are rewritten",
			others: other, from: mesh2 + "selects team in (a,b)", to: mesh2 + "selects env=prod,team=b | team=c | team=a",
			want: "warn MF103",
		},
		{
			name:   "if it overlaps in other label sets than before, then it is refused",
			others: other, from: mesh2 + "selects team=a", to: mesh2 + "selects team=b",
			want: "deny MF103",
		},
		{
			name:   "if it discovered everything before, then any selector overlaps less",
			others: other, from: mesh2 + "selects {}", to: mesh2 + "selects team",
			want: "warn MF103",
		},
		{
			name:   "if it was invalid before, which counts as everything, then any selector overlaps less",
			others: other, from: mesh2 + "selects raw team in a", to: mesh2 + "selects team",
			want: "warn MF103",
		},
		{
			name:   "if it discovered nothing before, then it begins to overlap with a mesh that discovers everything",
			others: []string{"Istio mesh-1; in istio-system-1; selects {}"},
			from:   mesh2 + "selects none=x,!none | team in (a),team in (b)", to: mesh2 + "selects team=a",
			want: "deny MF103",
		},
		{
			name:   "if the other mesh takes nearly all namespaces without asking for a label, then it stops no change of one that it overlaps with",
			others: []string{"Istio mesh-1; in istio-system-1; selects env notin (prod)"},
			from:   mesh2 + "selects istio-discovery=mesh-2", to: mesh2 + "selects istio-discovery in (mesh-2,mesh-2b)",
			want: "warn MF103",
		},
		{
			name:   "if the other mesh takes what lacks a label, then it stops no change of one that it overlaps with",
			others: []string{"Istio mesh-1; in istio-system-1; selects !env"},
			from:   mesh2 + "selects istio-discovery=mesh-2", to: mesh2 + "selects istio-discovery=mesh-2 | team=a",
			want: "warn MF103",
		},
		{
			name:   "if it kept apart from such a mesh, then it begins to overlap",
			others: []string{"Istio mesh-1; in istio-system-1; selects env notin (prod)"},
			from:   mesh2 + "selects env=prod", to: mesh2 + "selects env=prod | team=a",
			want: "deny MF103",
		},
		{
			name:   "if such a mesh asks for labels too, then those stop a change",
			others: []string{"Istio mesh-1; in istio-system-1; selects env notin (prod) | team=b"},
			from:   mesh2 + "selects team=a", to: mesh2 + "selects team in (a,b)",
			want: "deny MF103",
		},
		{
			name:   "if what would keep them apart strands a namespace, then that is no way out",
			others: []string{"Istio mesh-1; in istio-system-1; selects env=prod"}, namespaces: apps(t, "app: team=a env=prod istio.io/rev=mesh-2"),
			from: mesh2 + "selects team=a", to: mesh2 + "selects team=a | team=c",
			want: "deny MF103",
		},
		{
			name:   "if what would keep them apart strands a namespace that no label keeps, then only words are left",
			others: []string{"Istio mesh-1; in istio-system-1; selects kubernetes.io/metadata.name=app"}, namespaces: apps(t, "app: team=a istio.io/rev=mesh-2"),
			from: mesh2 + "selects team=a", to: mesh2 + "selects team=a | env=c",
			want: "deny MF103",
		},
		{
			name:   "if it overlaps with one more mesh, then only that one denies",
			others: append(other, "Istio mesh-3; in istio-system-3; selects team=c"),
			from:   mesh2 + "selects team=a", to: mesh2 + "selects team in (a,c)",
			want: "deny MF103 warn MF103",
		},
		{
			name:   "if it is repaired while its active revision is not yet, then it is admitted, and is told to wait",
			others: append(other, "IstioRevision mesh-2; of mesh-2; in istio-system-2; selects {}"),
			from:   mesh2 + "selects {}", to: mesh2 + "selects team=c",
			want: "warn MF103",
		},
		{
			name:   "if an older revision of its own overlaps still, then it is admitted, and is told to move on",
			others: append(other, "IstioRevision mesh-2-v1-29-0; of mesh-2; in istio-system-2; selects team=a"),
			from:   mesh2 + "RevisionBased; version v1.30.0; selects team=a", to: mesh2 + "RevisionBased; version v1.30.0; selects team=c",
			want: "warn MF103",
		},
		{
			name:   "if its declaration of the overlap is removed, then it is refused",
			others: other, from: mesh2 + "selects team=a; overlaps mesh-1", to: mesh2 + "selects team=a",
			want: "deny MF103",
		},
		{
			name:   "if its declaration had expired before, then an unrelated change is admitted in silence",
			others: other, from: mesh2 + "selects team=a; overlaps mesh-1; until 2026-07-01T00:00:00Z",
			to:   mesh2 + "selects team=a; overlaps mesh-1; until 2026-07-01T00:00:00Z; version v1.30.0",
			want: "allow",
		},
		{
			name:   "if its trust bundle gets the usual name, then it is refused",
			others: other, from: mesh2 + "selects team=a; bundle own", to: mesh2 + "selects team=a",
			want: "deny MF103",
		},
		{
			name:   "if its trust bundle gets its own name, then it is admitted without a word",
			others: other, from: mesh2 + "selects team=a", to: mesh2 + "selects team=a; bundle own",
			want: "warn MF115",
		},
		{
			name:   "if it moves to a label of its own, then it is admitted without a word",
			others: other, from: mesh2 + "selects team=a", to: mesh2 + "selects team=c",
			want: "allow",
		},
		{
			name:   "if it is being deleted, then it is never denied",
			others: other, from: mesh2 + "selects team=c", to: mesh2 + "selects team=a", deleting: true,
			want: "allow",
		},
	})
}
