package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF114WhenAMeshIsCreated(t *testing.T) {
	runMeshCases(t, []meshCase{
		{
			name:   "if only its own control-plane namespace is there, as in the guides, then it is admitted without a word",
			create: mesh1ByDiscovery, namespaces: apps(t, "istio-system-1: istio-discovery=mesh-1", "app: env=prod"),
			want: "allow",
		},
		{
			name:   "if other namespaces have its label already, then they are told",
			create: mesh1ByDiscovery, namespaces: apps(t, "istio-system-1: istio-discovery=mesh-1", "app: istio-discovery=mesh-1", "web: env=prod"),
			want: "warn MF114 warn MF114",
		},
		{
			name:   "if they have chosen already what is to become of their pods, then no revision is proposed",
			create: mesh1ByDiscovery, namespaces: apps(t, "app: istio-discovery=mesh-1 istio-injection=disabled", "member: istio-discovery=mesh-1 maistra.io/member-of=old",
				"rev: istio-discovery=mesh-1 istio.io/rev=mesh-1", "wave: istio-discovery=mesh-1 istio.io/dataplane-mode=none"),
			want: "warn MF114",
		},
		{
			name:   "if what they choose is no revision any more, or a tag of nothing, then nothing injects them either",
			others: []string{"IstioRevisionTag stable; targets Istio gone"}, create: mesh1ByDiscovery,
			namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=gone", "off: istio-discovery=mesh-1 istio.io/rev=gone istio-injection=disabled", "web: istio-discovery=mesh-1 istio.io/rev=stable"),
			want:       "warn MF114 warn MF114",
		},
		{
			name:   "if the mesh is one of ambient mode, then it is not expected to inject",
			create: mesh1ByDiscovery + "; ambient", namespaces: apps(t, "app: istio-discovery=mesh-1"),
			want: "warn MF114",
		},
		{
			name:   "if the mesh does not want to be filled in, then it is not expected to inject either",
			create: mesh1ByDiscovery + "; fill false", namespaces: apps(t, "app: istio-discovery=mesh-1"),
			want: "warn MF114",
		},
		{
			name:   "if it is for another control plane, then nothing is to inject it",
			create: mesh1ByDiscovery, namespaces: apps(t, "istio-system-7: istio-discovery=mesh-1"),
			want: "warn MF114",
		},
		{
			name:   "if another mesh discovers it too, with leave, then it can have either",
			others: []string{"Istio mesh-2; in istio-system-2; bundle two; selects istio-discovery"}, create: mesh1ByDiscovery, namespaces: apps(t, "app: istio-discovery=mesh-1"),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF115": policy.Off}},
			want:    "warn MF114",
		},
		{
			name:   "if a mesh that discovers everything does too, then the one that asks for its label is meant, by the name that the mesh map has for it",
			others: []string{"Istio mesh-2; in istio-system-2; bundle two", "map mesh-1=stable", stable}, create: mesh1ByDiscovery, namespaces: apps(t, "app: istio-discovery=mesh-1"),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF115": policy.Off}},
			want:    "warn MF114 warn MF114",
		},
		{
			name:   "if selectors ask for the label that chooses a revision, then it does more than that, and is not proposed",
			create: mesh1ByDiscovery + " | istio.io/rev=mesh-1", namespaces: apps(t, "app: istio-discovery=mesh-1"),
			want: "warn MF114",
		},
		{
			name:   "if it discovers everything, then all namespaces join",
			create: "Istio mesh-1; in istio-system-1", actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF102": policy.Off}},
			namespaces: apps(t, "app:", "default:", "gone (deleting):", "istio-system-1:"),
			want:       "warn MF114",
		},
		{
			name:   "if its istiod runs in another cluster, then it discovers nothing here",
			create: "Istio mesh-1; in istio-system-1; profile remote", namespaces: apps(t, "app: istio-discovery=mesh-1"),
			want: "allow",
		},
		{
			name:   "if more than ten join, then ten are named and the others counted",
			create: mesh1ByDiscovery, namespaces: numbered(t, 12, "istio-discovery=mesh-1"),
			want: "warn MF114 warn MF114",
		},
		{
			name:   "if it is the operator's copy of an Istio, then nothing changes",
			others: []string{mesh1ByDiscovery}, namespaces: apps(t, "app: istio-discovery=mesh-1"),
			create: "IstioRevision mesh-1; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			want:   "allow",
		},
		{
			name:   "if it is a revision with selectors of its own, which is not the active one, then what it brings in is told of the Istio",
			others: []string{mesh1ByDiscovery}, namespaces: apps(t, "app: team=a"),
			create: "IstioRevision mesh-1-canary; of mesh-1; in istio-system-1; selects team=a",
			want:   "warn MF114",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			create: mesh1ByDiscovery, namespaces: apps(t, "app: istio-discovery=mesh-1"),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF114": policy.Off}},
			want:    "allow",
		},
		{
			name:   "if the configuration makes it a denial, then it is refused",
			create: mesh1ByDiscovery, namespaces: apps(t, "app: istio-discovery=mesh-1"),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF114": policy.Deny}},
			want:    "deny MF114 deny MF114",
		},
	})
}

func TestMF114WhenAMeshIsUpdated(t *testing.T) {
	runMeshCases(t, []meshCase{
		{
			name:    "if namespaces join and leave, then both are told, also the control-plane namespace",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF104": policy.Off}},
			from:    mesh1ByDiscovery, to: mesh1ByTeam,
			namespaces: apps(t, "app-1: team=a", "app-2: team=a istio-discovery=mesh-1", "app-3: team=a", "gone (deleting): team=a",
				"istio-system-1: istio-discovery=mesh-1", "other: env=prod"),
			want: "warn MF114",
		},
		{
			name: "if what joins chooses what is no revision any more, then nothing injects it",
			from: mesh1ByDiscovery, to: mesh1ByDiscovery + " | team=a", namespaces: apps(t, "app: team=a istio.io/rev=gone", "web: team=a"),
			want: "warn MF114 warn MF114",
		},
		{
			name: "if the same namespaces stay in, then there is nothing to tell",
			from: mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; selects istio-discovery in (mesh-1,mesh-2)",
			namespaces: apps(t, "app: istio-discovery=mesh-1"),
			want:       "allow",
		},
		{
			name: "if one that it injects leaves besides, then each is told once",
			from: mesh1ByDiscovery, to: mesh1ByTeam,
			namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1", "idle: istio-discovery=mesh-1", "new: team=a"),
			want:       "deny MF111",
		},
		{
			name:   "if the operator's copy has the old selectors still, then that does not hide who leaves",
			others: []string{"IstioRevision mesh-1; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1"},
			from:   mesh1ByDiscovery, to: mesh1ByTeam, namespaces: apps(t, "idle: istio-discovery=mesh-1"),
			want: "warn MF114",
		},
		{
			name:   "if the operator brings its copy up to date, then nobody is told a second time",
			others: []string{mesh1ByTeam}, from: "IstioRevision mesh-1; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			to: "IstioRevision mesh-1; of mesh-1; in istio-system-1; selects team=a", namespaces: apps(t, "idle: istio-discovery=mesh-1"),
			want: "allow",
		},
		{
			name: "if its selectors did not parse, then nobody knows what it discovered",
			from: "Istio mesh-1; in istio-system-1; selects raw team in a", to: mesh1ByTeam, namespaces: apps(t, "app: env=prod", "web: team=a"),
			want: "allow",
		},
		{
			name: "if its new selectors do not parse, then nobody knows what it will discover",
			from: mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; selects raw team in a", namespaces: apps(t, "app: env=prod"),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF101": policy.Off, "MF102": policy.Off}},
			want:    "allow",
		},
		{
			name: "if its istiod moves to another cluster, then those that it discovered are told, also those that it injects",
			from: mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; profile remote",
			namespaces: apps(t, "app: istio-discovery=mesh-1", "shop: istio-discovery=mesh-1 istio.io/rev=mesh-1", "other: istio-discovery=mesh-2"),
			want:       "warn MF114",
		},
		{
			name: "if its istiod stays in another cluster, then nothing is told",
			from: "Istio mesh-1; in istio-system-1; profile remote", to: "Istio mesh-1; in istio-system-1; profile remote; version v1.30.0",
			namespaces: apps(t, "app: istio-discovery=mesh-1"), want: "allow",
		},
		{
			name: "if its istiod comes into this cluster, then those that it discovers join",
			from: "Istio mesh-1; in istio-system-1; profile remote", to: mesh1ByDiscovery, namespaces: apps(t, "app: istio-discovery=mesh-1"),
			want: "warn MF114",
		},
		{
			name: "if it is an IstioRevision that nobody owns, then the command names that kind",
			from: "IstioRevision canary; in istio-system-1; selects team=a", to: "IstioRevision canary; in istio-system-1; selects team=b",
			namespaces: apps(t, "app: team=b"),
			want:       "warn MF114",
		},
	})
}
