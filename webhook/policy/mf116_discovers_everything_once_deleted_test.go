package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

// Istiods that the Sail operator did not install are judged by the same rules, in the words of what installed them.
func TestMF116AndOtherRulesOfInstalledIstiods(t *testing.T) {
	const (
		one   = "Istiod group-1/istio-a; release istiod-1; version v1.30.1; selects group=1"
		two   = "Istiod group-2/istio-b; selects group=2"
		istio = "Istio mesh-1; in istio-system-1; selects group=0"
	)
	planes := apps(t, "group-1: group=1", "group-2: group=2", "istio-system-1: group=0")
	runMeshCases(t, []meshCase{
		{name: "if nothing is wrong, then nothing is said", others: []string{two, istio}, create: one, namespaces: planes, want: "allow"},
		{
			name: "if Helm installed it, then the way out is an upgrade", others: []string{two, istio},
			from: one, to: "Istiod group-1/istio-a; release istiod-1; version v1.30.1; selects group in (1,2)", namespaces: planes, want: "deny MF103",
		},
		{
			name: "if nothing tells who installed it, then the way out is in words", others: []string{one, istio},
			from: two, to: "Istiod group-2/istio-b; selects group in (1,2)", namespaces: planes, want: "deny MF103",
		},
		{
			name: "if it loses its selectors, then it discovers everything", others: []string{two, istio},
			from: one, to: "Istiod group-1/istio-a; release istiod-1", namespaces: planes, want: "deny MF102",
		},
		{
			name: "if it loses its text, then it discovers everything at its next start", others: []string{two, istio},
			from: one, to: "Istiod group-1/istio-a; release istiod-1; no-config", namespaces: planes, want: "deny MF101 deny MF102",
		},
		{
			name: "if a selector of a canary is wrong, then that is told too", others: []string{one},
			create: "Istiod group-1/istio-canary; selects group=1; malformed it does not parse", namespaces: planes, want: "deny MF101",
		},
		{
			name: "if a canary has the selectors of the revision that it is to replace, then that is no overlap", others: []string{one, two},
			create: "Istiod group-1/istio-canary; release canary; selects group=1", namespaces: planes, want: "allow",
		},
		{
			name: "if it is in the namespace of another mesh, then they share a leader lock", others: []string{istio},
			create: "Istiod istio-system-1/istio-a; selects group=1", namespaces: planes, want: "deny MF105",
		},
		{
			name: "if its revision is that of another mesh, then the name means two", others: []string{istio, two},
			create: "Istiod group-1/istio-mesh-1; selects group=1", namespaces: planes, want: "deny MF106",
		},
		{
			name: "if an Istio overlaps with it, then the Istio is told", others: []string{one},
			create: "Istio mesh-2; in istio-system-2; selects group=1", namespaces: planes, want: "deny MF103",
		},
		{
			name: "if Helm has left an istiod without its mesh configuration, then it may be uninstalled", others: []string{"Istiod group-1/istio-a; release istiod-1; no-config"},
			create: "Istio mesh-2; in istio-system-2; selects group=2", namespaces: planes, want: "deny MF103",
		},
		{
			name: "if a namespace that it injects would no longer be discovered, then it is refused", others: []string{two},
			from: one, to: "Istiod group-1/istio-a; release istiod-1; version v1.30.1; selects group=3",
			namespaces: append(planes, apps(t, "shop: group=1 istio.io/rev=a")...), want: "deny MF111",
		},
		{
			name: "if it is uninstalled in use, then that is told", others: []string{two}, from: one,
			namespaces: append(planes, apps(t, "shop: group=1 istio.io/rev=a")...), want: "warn MF112",
		},
	})
}

func TestMF116(t *testing.T) {
	const other = "Istiod group-2/istio-b; selects group=2"
	runMeshCases(t, []meshCase{
		{
			name: "if the istiod runs, then its ConfigMap stays", others: []string{other}, from: "Istiod group-1/istio-a; selects group=1",
			losing: &policy.Loss{Revision: "a", ConfigMap: "istio-a"}, want: "deny MF116",
		},
		{
			name: "if Helm installed it, then Helm uninstalls it", others: []string{other, "Istiod group-1/istio-a; release istiod-1; no-config"}, from: "Istiod group-1/istio-a; release istiod-1; selects group=1",
			losing: &policy.Loss{Revision: "a", ConfigMap: "istio-a"}, want: "deny MF116",
		},
		{
			name: "if only the label goes, then it stays", others: []string{other}, from: "Istiod group-1/istio-a; release istiod-1; selects group=1",
			losing: &policy.Loss{Revision: "a", ConfigMap: "istio-a", Unlabelled: true}, want: "deny MF116",
		},
		{
			name: "if it names an owner that does not exist, then it stays", others: []string{other}, from: "Istiod group-1/istio-a; release istiod-1; selects group=1",
			losing: &policy.Loss{Revision: "a", ConfigMap: "istio-a", Adopted: true}, want: "deny MF116",
		},
		{
			name: "if the release has another revision already, then its upgrade is repeated", from: "Istiod group-1/istio-a; release istiod-1; selects group=1",
			others: []string{other, "Istiod group-1/istio-b2; release istiod-1; selects group=1"}, losing: &policy.Loss{Revision: "a", ConfigMap: "istio-a"}, want: "deny MF116",
		},
		{name: "if no istiod runs, then it goes", others: []string{other}, from: "Istiod group-1/istio-a; selects group=1", want: "allow"},
	})
}
