package observed

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// gatewayWithoutRevision finds Gateways that no istiod deploys, or more than one. An istiod takes those whose label istio.io/rev, or else that of
// their namespace, names its revision or a tag of it; without both, those of the revision called default take them (IsMine in
// istio/pkg/revisions/tag_watcher.go); and it sees only the namespaces that it discovers.
func gatewayWithoutRevision(v *view) []policy.Offence {
	var found []policy.Offence
	for _, g := range sorted(v.gateways, func(a, b gateway) int { return compareMeta(&a.Metadata, &b.Metadata) }) {
		ns := v.named[g.Metadata.Namespace]
		if ns == nil || !slices.Contains(v.judged, ns) || g.Metadata.deleting() || !v.ofIstio(g.Spec.Class) {
			continue
		}
		if f := v.claims(&g, ns); f != nil {
			found = append(found, policy.Offence{Kind: "Gateway", Namespace: ns.Name, Name: g.Metadata.Name, Finding: *f})
		}
	}
	return found
}

// claims is what is wrong with who takes a Gateway, nil if exactly one mesh does.
func (v *view) claims(g *gateway, ns *mesh.Namespace) *policy.Finding {
	name, from := g.Metadata.Labels[mesh.RevisionLabel], "its label"
	if _, ok := g.Metadata.Labels[mesh.RevisionLabel]; !ok {
		name, from = ns.Labels[mesh.RevisionLabel], "the label of its namespace"
	}
	chosen := from + " istio.io/rev=" + name + " names"
	if name == "" {
		name, chosen = mesh.DefaultRevision, "neither it nor its namespace has istio.io/rev, which leaves it to"
	}
	var owners []*mesh.Mesh
	if r := v.fleet.Revision(name); r != nil {
		owners = r.Meshes
	}
	taking := slices.DeleteFunc(slices.Clone(owners), func(m *mesh.Mesh) bool { return !v.discovers(m, ns.Name) })
	field := "metadata.labels[" + mesh.RevisionLabel + "]"
	switch {
	case len(taking) == 1:
		return nil
	case len(taking) > 1:
		return &policy.Finding{
			Field: field, Subjects: references(taking),
			Detail: fmt.Sprintf("%s %s, so several istiods deploy it", chosen, theMeshes(taking)),
			Effect: "each writes its Deployment and its status, and undoes what the other wrote",
			Ways:   []policy.Way{say("give each revision a name of its own")},
		}
	case len(owners) > 0:
		return &policy.Finding{
			Field: field, Subjects: references(owners), Effect: noGateway, Ways: v.gatewayWays(g, ns),
			Detail: fmt.Sprintf("%s %s, which does not discover its namespace %q", chosen, theMeshes(owners), ns.Name),
		}
	default:
		return &policy.Finding{
			Field: field, Effect: noGateway, Ways: v.gatewayWays(g, ns),
			Detail: fmt.Sprintf("%s revision %q, which no mesh has", chosen, name),
		}
	}
}

const noGateway = "no istiod deploys it: it gets neither pods nor an address"

// gatewayWays have a mesh that discovers the namespace take the Gateway.
func (v *view) gatewayWays(g *gateway, ns *mesh.Namespace) []policy.Way {
	var ways []policy.Way
	for _, m := range v.discovering[ns.Name] {
		if !m.Remote() && m.ActiveRevision != "" {
			ways = append(ways, run("have mesh "+m.Name+" deploy it", fmt.Sprintf("kubectl label %s %s --namespace %s istio.io/rev=%s --overwrite", Gateways, policy.NameWord(g.Metadata.Name), policy.NameWord(ns.Name), policy.NameWord(m.ActiveRevision))))
		}
	}
	if len(ways) == 0 {
		ways = append(ways, run("no mesh discovers its namespace; see which one comes nearest", "meshfence explain namespace "+ns.Name))
	}
	return ways[:min(len(ways), shown)]
}
