package audit

import (
	"cmp"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// state is an inventory as it is judged. A state is never written: with returns another one.
type state struct {
	objects  mesh.Objects
	existing policy.Existing
}

func (c *Checker) stateOf(i *Inventory) state {
	objects := i.meshes()
	return state{objects, policy.Existing{
		Fleet: mesh.NewFleet(objects), Namespaces: i.namespaces(), Exempt: c.Exempt, Map: i.meshMap(), Now: c.Now,
	}}
}

// with returns the state once an object is stored. What the object has nothing to do with is shared.
func (s state) with(o Object) state {
	switch {
	case o.namespace != nil:
		ns := *o.namespace.ToMesh()
		at, there := slices.BinarySearchFunc(s.existing.Namespaces, ns.Name, func(a mesh.Namespace, name string) int { return cmp.Compare(a.Name, name) })
		s.existing.Namespaces = slices.Clone(s.existing.Namespaces)
		if there {
			s.existing.Namespaces[at] = ns
		} else {
			s.existing.Namespaces = slices.Insert(s.existing.Namespaces, at, ns)
		}
		return s
	case o.controlPlane != nil:
		s.objects = s.objects.With(o.controlPlane)
	case o.istiod != nil:
		s.objects = s.objects.WithParts(s.objects.Parts.With(o.istiod))
	case o.tag != nil:
		s.objects = s.objects.WithTag(o.tag)
	case o.configMap != nil:
		s.objects.Map, _ = mesh.ParseMap(o.configMap.Data)
		s.existing.Map = o.configMap.ToMesh(o.Namespace)
	}
	s.existing.Fleet = s.existing.Fleet.Next(s.objects)
	return s
}

// beside returns the fleet with all changes but that of a mesh's object.
func (s state) beside(updated, old Object, existed bool) *mesh.Fleet {
	switch {
	case updated.istiod != nil && existed:
		return s.with(old).existing.Fleet
	case updated.istiod != nil:
		return s.existing.Fleet.Next(s.objects.WithParts(s.objects.Parts.Without(updated.istiod)))
	case existed:
		return s.existing.Fleet.Next(s.objects.With(old.controlPlane))
	default:
		return s.existing.Fleet.Next(s.objects.Without(mesh.Ref{Kind: updated.Kind, Name: updated.Name}))
	}
}
