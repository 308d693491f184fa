package webhook

import "github.com/meshfence/meshfence/webhook/config"

// exemptions are the namespaces and users that are not judged.
type exemptions struct {
	namespaces, users config.Globs
}

func (e exemptions) namespace(name string) bool { return e.namespaces.Match(name) }
func (e exemptions) user(name string) bool      { return e.users.Match(name) }

// object reports whether a namespace is exempt. While its name is still to be generated, it is only if every name that may
// come of it is: generateName kube-system makes kube-system7xk2p, which is not kube-system.
func (e exemptions) object(ns *namespaceObject) bool {
	if ns.Metadata.Name == "" {
		return e.namespaces.MatchAll(ns.Metadata.GenerateName)
	}
	return e.namespace(ns.Metadata.Name)
}
