package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// The right that a user needs to create the mesh configuration of an istiod in a namespace that has none, besides that to create webhook
// configurations, which all installations of Istio need: InstallVerb on the namespace's name, in InstallGroup. RBAC does not know the verb, but can grant it.
const (
	InstallVerb     = "install"
	InstallGroup    = api.Group
	InstallResource = "istiods"
)

// Installing is the creation of a mesh configuration in a namespace without webhooks of an istiod.
type Installing struct {
	User string
	// Right is what the API server says of the user's right to it.
	Right Right
}

// AsksForInstallers reports whether a rule wants to know whether the user may install an istiod.
func (p *Policy) AsksForInstallers() bool {
	return slices.ContainsFunc(meshRules, func(r rule[mesh.Mesh]) bool { return r.Code == "MF121" && p.settings.Actions.Of(r.Rule) != Off })
}

// notAllowedToInstall finds that a mesh would come to be by a ConfigMap of a user who could install no istiod: all that such a user needs is a
// namespace. A right that could not be asked for is none.
func notAllowedToInstall(_, updated *mesh.Mesh, w *World) []Finding {
	if w.installing == nil || w.installing.Right == Granted {
		return nil
	}
	user, namespace := w.installing.User, updated.ControlPlane
	f := Finding{
		Field: "metadata.name", Subjects: []string{user}, Forbidden: true,
		Detail: fmt.Sprintf("it would make a mesh of namespace %q, and user %q may not install an istiod", namespace, user),
		Effect: "a mesh takes labels and names of revisions from all others, and a user of one namespace could take them all",
		Ways:   remedy{run("an administrator can allow it", grant("meshfence-install-"+namespace, InstallVerb, InstallGroup, namespace, user)...)},
	}
	if w.installing.Right != Refused {
		f.Detail = fmt.Sprintf("it would make a mesh of namespace %q, and meshfence could not check whether user %q may install an istiod", namespace, user)
		f.Ways = remedy{say("try again in a few seconds")}
	}
	return []Finding{f}
}
