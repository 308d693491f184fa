package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// defaultTaken finds a second owner of the name default, which istio-injection=enabled uses: an Istio with update strategy
// InPlace or an IstioRevision of that name, beside another one or beside a tag. An Istio of that name with RevisionBased
// does not have it, and the usual tag default that points at such an Istio is its only owner.
func defaultTaken(m *mesh.Mesh, w *World) []Finding {
	if !m.Has(mesh.DefaultRevision) {
		return nil
	}
	owners := otherOwners(mesh.DefaultRevision, m, w)
	if len(owners) == 0 {
		return nil
	}
	return []Finding{{
		Field:    namingField(mesh.DefaultRevision, m, w),
		Detail:   fmt.Sprintf("it would be a second owner of the revision name %q, which is that of %s", mesh.DefaultRevision, joinAnd(owners)),
		Effect:   "istio-injection=enabled can only mean one of them",
		Ways:     append(remedy{say(anotherName(mesh.DefaultRevision, m, w))}, freeTag(mesh.DefaultRevision, owners, w)...),
		Subjects: owners,
	}}
}
