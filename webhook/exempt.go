package webhook

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/kube"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// exemptions are the namespaces and users that are not judged.
type exemptions struct {
	namespaces, users config.Globs
}

func (e exemptions) namespace(name string) bool { return e.namespaces.Match(name) }

// without returns the cluster's namespaces without the exempt ones: what is never judged is no reason to refuse a tag or a map.
func (e exemptions) without(all []mesh.Namespace) []mesh.Namespace {
	return slices.DeleteFunc(slices.Clone(all), func(ns mesh.Namespace) bool { return e.namespace(ns.Name) })
}

func (e exemptions) user(name string) bool { return e.users.Match(name) }

// object reports whether a namespace is exempt. While its name is still to be generated, it is only if every name that may
// come of it is: generateName kube-system makes kube-system7xk2p, which is not kube-system.
func (e exemptions) object(ns *kube.Namespace) bool {
	if ns.Metadata.Name == "" {
		return e.namespaces.MatchAll(ns.Metadata.GenerateName)
	}
	return e.namespace(ns.Metadata.Name)
}
