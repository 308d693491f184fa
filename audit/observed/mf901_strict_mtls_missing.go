package observed

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// strictMTLSMissing finds meshes beside others that accept plain text: without a mesh-wide PeerAuthentication STRICT that counts, a pod of
// another mesh reaches theirs without any certificate.
func strictMTLSMissing(v *view) []policy.Offence {
	if !v.several() {
		return nil
	}
	weak := v.weakened()
	var found []policy.Offence
	for _, m := range v.fleet.Meshes() {
		if m.Remote() {
			continue
		}
		root := v.rootNamespace(m)
		if f := v.meshWideMode(m, root); f != nil {
			found = append(found, ofMesh(m, *f))
			continue
		}
		weaker := slices.DeleteFunc(slices.Clone(weak), func(namespace string) bool { return namespace == root || !v.discovers(m, namespace) })
		if len(weaker) > 0 {
			found = append(found, ofMesh(m, v.weakerNamespaces(weaker)))
		}
	}
	return found
}

const acceptsPlainText = "its pods accept connections without a certificate, also from pods of other meshes"

// meshWideMode is what is wrong with the mode of a whole mesh, nil if it is STRICT.
func (v *view) meshWideMode(m *mesh.Mesh, root string) *policy.Finding {
	const field = "spec.values.meshConfig.rootNamespace"
	switch p := v.peers[root]; {
	case p == nil:
		return &policy.Finding{
			Field: field, Effect: acceptsPlainText,
			Detail: fmt.Sprintf("its root namespace %q has no PeerAuthentication for the whole mesh", root),
			Ways:   []policy.Way{run("require mutual TLS in the whole mesh", v.createStrict(root))},
		}
	case p.mode() != strict:
		return &policy.Finding{
			Field: field, Effect: acceptsPlainText,
			Detail: fmt.Sprintf("for the whole mesh PeerAuthentication %q in its root namespace %q says %s%s", p.Metadata.Name, root, p.mode(), v.ignoring(p)),
			Ways:   []policy.Way{run("require mutual TLS in the whole mesh", patchStrict(p))},
		}
	case !v.discovers(m, root):
		return &policy.Finding{
			Field: field, Effect: acceptsPlainText,
			Detail: fmt.Sprintf("it does not discover its root namespace %q, so PeerAuthentication %q there does not count", root, p.Metadata.Name),
			Ways:   []policy.Way{v.discoverRoot(m, root)},
		}
	default:
		return nil
	}
}

// discoverRoot has a mesh discover its root namespace, unless that is another mesh's as well.
func (v *view) discoverRoot(m *mesh.Mesh, root string) policy.Way {
	if len(v.rootedIn(root, m)) > 0 || v.fleet.ControlPlaneOf(root) != nil && v.fleet.ControlPlaneOf(root) != m {
		return rootAtHome(m)
	}
	return v.discover(m, root)
}

// ignoring says that a younger PeerAuthentication says STRICT, and does not count.
func (v *view) ignoring(p *peerAuthentication) string {
	for i := range v.peerAuthentications {
		other := &v.peerAuthentications[i]
		if other.Metadata.Namespace == p.Metadata.Namespace && len(other.Spec.Selector.MatchLabels) == 0 && other.mode() == strict {
			return fmt.Sprintf("; %q says STRICT, but only the oldest without a selector counts", other.Metadata.Name)
		}
	}
	return ""
}

// weakerNamespaces is the finding about namespaces that are left out of what holds for their mesh.
func (v *view) weakerNamespaces(namespaces []string) policy.Finding {
	f := policy.Finding{
		Action: policy.Warn, Field: "spec.values.meshConfig.rootNamespace",
		Detail:   "mutual TLS is STRICT for the whole mesh, but a PeerAuthentication of their own takes that back for namespaces " + listed(namespaces),
		Effect:   "pods there accept connections without a certificate, also from pods of other meshes",
		Subjects: namespaces,
	}
	for _, namespace := range namespaces[:min(len(namespaces), shown)] {
		f.Ways = append(f.Ways, run(fmt.Sprintf("require it in %s too", namespace), patchStrict(v.peers[namespace])))
	}
	return f
}

// createStrict makes the PeerAuthentication that the guide has, by another name where that one is for some workloads.
func (v *view) createStrict(namespace string) string {
	name := "default"
	for i := range v.peerAuthentications {
		if m := &v.peerAuthentications[i].Metadata; m.Namespace == namespace && m.Name == name {
			name = "whole-mesh"
		}
	}
	return fmt.Sprintf(`echo '{"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {"name": %q, "namespace": %q}, "spec": {"mtls": {"mode": "STRICT"}}}' | kubectl apply -f -`, name, policy.NameWord(namespace))
}

func patchStrict(p *peerAuthentication) string {
	return fmt.Sprintf(`kubectl patch %s %s --namespace %s --type=merge -p '{"spec":{"mtls":{"mode":"STRICT"}}}'`, PeerAuthentications, p.Metadata.Name, p.Metadata.Namespace)
}
