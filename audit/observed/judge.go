package observed

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// rule is a rule of the catalogue with the function that finds what breaks it.
type rule struct {
	code policy.Code
	// needs are the resources without which it cannot be judged, and knows those of the meshes and namespaces without which something that exists would be
	// taken for absent.
	needs, knows []Resource
	judge        func(*view) []policy.Offence
}

// rules are all of them, by code.
func rules() []rule {
	places, all := []Resource{Namespaces}, []Resource{Meshes, Namespaces}
	return []rule{
		{"MF901", []Resource{PeerAuthentications}, places, strictMTLSMissing},
		{"MF902", []Resource{Injectors}, nil, sharedRootCA},
		{"MF903", []Resource{RootCertificates, Injectors}, places, foreignRootCertificate},
		{"MF904", []Resource{Pods}, all, podOfAnotherMesh},
		{"MF905", []Resource{Gateways, GatewayClasses}, all, gatewayWithoutRevision},
		{"MF906", []Resource{Injectors, Istiods}, all, injectorsDisagree},
		{"MF907", []Resource{RootCertificates, Istiods}, places, rootCertificateMissing},
		{"MF908", []Resource{RootCertificates, Injectors}, all, staleRootCertificate},
		{"MF909", nil, places, rootNamespaceElsewhere},
		{"MF910", []Resource{MeshConfigs, Istiods}, nil, selectorsInvalidLive},
		{"MF911", []Resource{Injectors}, []Resource{Meshes}, tagWithoutRevision},
		{"MF912", []Resource{MeshConfigs}, []Resource{Meshes}, configMapDrift},
		{"MF913", []Resource{Pods}, all, foreignPodLabel},
		{"MF914", []Resource{ZTunnels}, all, ambientOfAnotherMesh},
		{"MF915", []Resource{CNIs}, nil, sharedCNI},
		{"MF916", []Resource{Istiods}, nil, controlPlaneNotReady},
	}
}

// Needs returns what the rules that the policy has not switched off need, each resource once.
func Needs(p *policy.Policy) []Resource {
	var all []Resource
	catalogue := policy.AuditRules()
	for i, r := range rules() {
		if p.Action(catalogue[i]) != policy.Off {
			all = append(all, r.needs...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Unjudged is a rule that could not be judged, and why.
type Unjudged struct {
	Code Code
	// Missing is the resource that could not be read, and Why the reason.
	Missing Resource
	Why     string
}

// Code is that of a rule.
type Code = policy.Code

// Judge finds what is wrong with what was read of a cluster, by the rules that the policy has not switched off. The findings are by code, and for
// one rule in the order of objects.
func (c *Cluster) Judge(p *policy.Policy, e policy.Existing) (found []policy.Offence, unjudged []Unjudged) {
	v := c.view(e)
	catalogue := policy.AuditRules()
	for i, r := range rules() {
		action := p.Action(catalogue[i])
		if action == policy.Off {
			continue
		}
		if missing, why := c.lacks(append(r.needs, r.knows...)); missing != "" {
			unjudged = append(unjudged, Unjudged{r.code, missing, why})
			continue
		}
		for _, o := range r.judge(v) {
			o.Rule = catalogue[i]
			if o.Action == 0 || o.Action > action {
				o.Action = action
			}
			found = append(found, o)
		}
	}
	return found, unjudged
}

// Lacks reports whether a resource could not be read.
func (c *Cluster) Lacks(r Resource) bool {
	_, missing := c.missing[r]
	return missing
}

// lacks returns the first resource of these that could not be read.
func (c *Cluster) lacks(needs []Resource) (missing Resource, why string) {
	for _, r := range needs {
		if why, missing := c.missing[r]; missing {
			return r, why
		}
	}
	return "", ""
}

// view is what the rules look at: what was read, beside the meshes and namespaces.
type view struct {
	*Cluster
	existing policy.Existing
	fleet    *mesh.Fleet
	// judged are the namespaces that are neither exempt nor being deleted, by name, and named all there are.
	judged []*mesh.Namespace
	named  map[string]*mesh.Namespace
	// discovering are the meshes that discover a namespace, by its name.
	discovering map[string][]*mesh.Mesh
	// revisions are the meshes of a revision's name, which tags do not hide.
	revisions map[string][]*mesh.Mesh
	// roots are the root certificates of meshes, where they are known.
	roots map[mesh.Ref]certificates
	// peers are the PeerAuthentications that count for a whole namespace, by its name.
	peers map[string]*peerAuthentication
}

func (c *Cluster) view(e policy.Existing) *view {
	v := &view{
		Cluster: c, existing: e, fleet: e.Fleet, named: map[string]*mesh.Namespace{},
		discovering: map[string][]*mesh.Mesh{}, revisions: map[string][]*mesh.Mesh{},
	}
	for i := range e.Namespaces {
		ns := &e.Namespaces[i]
		v.named[ns.Name], v.discovering[ns.Name] = ns, e.Fleet.DiscoveredBy(ns.Labels)
		if !ns.Deleting && (e.Exempt == nil || !e.Exempt(ns.Name)) {
			v.judged = append(v.judged, ns)
		}
	}
	for _, m := range e.Fleet.Meshes() {
		for _, name := range m.Revisions {
			v.revisions[name] = append(v.revisions[name], m)
		}
	}
	v.roots, v.peers = v.meshRoots(), c.peerPolicies()
	return v
}

// several reports whether more than one mesh has its istiod here.
func (v *view) several() bool {
	n := 0
	for _, m := range v.fleet.Meshes() {
		if !m.Remote() {
			n++
		}
	}
	return n > 1
}

// ofMesh is an offence of a mesh's object.
func ofMesh(m *mesh.Mesh, f policy.Finding) policy.Offence {
	return policy.OffenceOf(m, f)
}

// ofNamespace is an offence of a namespace.
func ofNamespace(name string, f policy.Finding) policy.Offence {
	return policy.Offence{Kind: "Namespace", Name: name, Finding: f}
}
