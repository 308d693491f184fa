package observed

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// NamespaceView is what was seen of one namespace, for a person who asks why it stands as it does.
type NamespaceView struct {
	// Certificates say of each ConfigMap that a mesh writes its root certificate to whether it is there, by the ConfigMap's name.
	Certificates map[string]string
	// Injectors are the webhook configurations that take its new pods, by name.
	Injectors []string
	// Pods say which sidecars its pods carry.
	Pods []string
}

// Namespace returns what was seen of a namespace, with these labels, which may be others than it has.
func (c *Cluster) Namespace(e policy.Existing, name string, labels map[string]string) NamespaceView {
	v := c.view(e)
	var seen NamespaceView
	if v.missing[RootCertificates] == "" {
		seen.Certificates = map[string]string{}
		for _, bundle := range TrustBundles(v.fleet) {
			seen.Certificates[bundle] = v.certificateState(name, bundle)
		}
	}
	for _, in := range v.selecting()(labels) {
		seen.Injectors = append(seen.Injectors, in.Name)
	}
	byRevision := map[string]int{}
	var revisions []string
	for _, g := range v.podsOf()[name] {
		if g.injected == "" {
			continue
		}
		if byRevision[g.injected] == 0 {
			revisions = append(revisions, g.injected)
		}
		byRevision[g.injected] += v.pods[g]
	}
	slices.Sort(revisions)
	for _, revision := range revisions {
		seen.Pods = append(seen.Pods, fmt.Sprintf("%s with the sidecar of revision %s%s", podsText(byRevision[revision]), revision, ofMeshes(v.revisions[revision])))
	}
	return seen
}

func ofMeshes(meshes []*mesh.Mesh) string {
	if len(meshes) == 0 {
		return ", which no known mesh has"
	}
	return ""
}

// certificateState says whether a ConfigMap is there, and whose certificate it has.
func (v *view) certificateState(namespace, bundle string) string {
	there := v.certificates[objectKey{namespace, bundle}]
	switch {
	case there == nil:
		return "missing"
	case len(v.roots) == 0:
		return "there"
	case len(there.certificates) == 0:
		return "there, without a certificate"
	}
	if of := v.whose(there.certificates); len(of) > 0 {
		return "there, that of " + theMeshes(of)
	}
	return "there, of no known mesh"
}
