package webhook

import "github.com/meshfence/meshfence/webhook/config"

// exemptions are the namespaces and users that are never denied.
type exemptions struct {
	namespaces, users config.Globs
}

func (e exemptions) namespace(name string) bool { return e.namespaces.Match(name) }
func (e exemptions) user(name string) bool      { return e.users.Match(name) }
