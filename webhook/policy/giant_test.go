package policy_test

import (
	"fmt"
	"maps"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// selecting is a fleet of two meshes with so many selectors each, of which each asks for a label of its own.
func selecting(selectors int) *mesh.Fleet {
	var objects mesh.Objects
	for i := range 2 {
		cp := &sail.ControlPlane{Kind: sail.KindIstio, Metadata: sail.Meta{Name: fmt.Sprintf("mesh-%d", i+1)}}
		cp.Spec.Namespace = fmt.Sprintf("istio-system-%d", i+1)
		for j := range selectors {
			cp.Spec.Values.MeshConfig.DiscoverySelectors = append(cp.Spec.Values.MeshConfig.DiscoverySelectors,
				&metav1.LabelSelector{MatchLabels: map[string]string{fmt.Sprintf("asked-%d-%d", i, j): "yes"}})
		}
		objects.Istios = append(objects.Istios, cp)
	}
	return mesh.NewFleet(objects)
}

// carrying adds labels to those of a namespace: so many that the meshes ask for, and so many others.
func carrying(ns *mesh.Namespace, asked, others int) *mesh.Namespace {
	labels := maps.Clone(ns.Labels)
	for i := range asked {
		labels[fmt.Sprintf("asked-%d-%d", i%2, i/2)] = "yes"
	}
	for i := range others {
		labels[fmt.Sprintf("other-%06d", i)] = "x"
	}
	return &mesh.Namespace{Name: ns.Name, Labels: labels}
}

// allocated is how much memory f takes, in bytes. It says how much work f does, whatever else the machine does.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestLabelsThatNobodyAsksForChangeNoVerdict(t *testing.T) {
	fleets := map[string]*mesh.Fleet{
		"of two meshes": selecting(3), "of the guide": fleet(t, guide()...),
		"that excludes": fleet(t, "Istio mesh-1; in istio-system-1; selects !team", "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"),
	}
	p, denied := policy.New(settings()), 0
	for name, f := range fleets {
		for _, text := range []string{
			"istio.io/rev=mesh-1", "istio-discovery=mesh-1 istio.io/rev=mesh-2", "istio-discovery=mesh-3", "asked-0-0=yes asked-1-2=yes", "asked-0-0=yes",
			"istio-injection=enabled istio.io/rev=mesh-1", "istio.io/dataplane-mode=ambient istio-injection=enabled",
			"maistra.io/member-of=old istio.io/rev=mesh-1", "maistra.io/member-of=old istio.io/rev=mesh-1 maistra.io/ignore-namespace=true", "mesh=mesh-2 team=a",
		} {
			few := namespace(t, "app", text)
			for _, old := range []*mesh.Namespace{nil, namespace(t, "app", "team=b"), carrying(few, 0, 300)} {
				want := p.Namespace(policy.NamespaceChange{Old: old, New: few, Fleet: f, Now: now})
				got := p.Namespace(policy.NamespaceChange{Old: old, New: carrying(few, 0, 300), Fleet: f, Now: now})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("a fleet %s, %q, with others (-few +many):\n%s", name, text, diff)
				}
				if want.Answer == policy.Denied {
					denied++
				}
			}
		}
	}
	if denied < 10 {
		t.Errorf("only %d verdicts are denials", denied)
	}
}

// To refuse a namespace takes as little as for one that has no other labels, and however many of them are asked for it takes no
// more than the search for remedies may.
func TestARefusalOfANamespaceWithVeryManyLabelsIsBounded(t *testing.T) {
	p, app := policy.New(settings()), namespace(t, "app", "istio.io/rev=mesh-1")
	for _, test := range []struct {
		selectors, asked int
		limit            uint64
	}{
		{50, 2, 8 << 20},
		{500, 2, 32 << 20},
		{500, 1000, 256 << 20},
		{5000, 10000, 256 << 20},
	} {
		change := policy.NamespaceChange{New: carrying(app, test.asked, 100000), Fleet: selecting(test.selectors), Now: now}
		var verdict policy.Verdict
		if took := allocated(func() { verdict = p.Namespace(change) }); took > test.limit {
			t.Errorf("%d selectors, of which it matches %d: %d MiB, want at most %d", test.selectors, test.asked, took>>20, test.limit>>20)
		} else {
			t.Logf("%d selectors, of which it matches %d: %d MiB", test.selectors, test.asked, took>>20)
		}
		if verdict.Answer != policy.Denied || verdict.Denials[0].Rule.Code != "MF201" {
			t.Errorf("%+v", verdict)
		}
	}
}
