package policy

import (
	"fmt"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// kindTag is the kind of the tags that stand for revisions.
const kindTag = "IstioRevisionTag"

// resourceOf is what kubectl calls a kind of the Sail operator, with the group, because other products have an istio resource too.
// All commands name their resources by it.
func resourceOf(kind string) string { return strings.ToLower(kind) + "s.sailoperator.io" }

// object names an object of the Sail operator in a command.
func object(kind, name string) string { return resourceOf(kind) + " " + name }

// patchCommand merges JSON into the spec of an object of the Sail operator.
func patchCommand(ref mesh.Ref, spec string) string {
	return fmt.Sprintf(`kubectl patch %s --type=merge -p '{"spec":%s}'`, object(ref.Kind, ref.Name), spec)
}

// showAll lists the objects of some kinds.
func showAll(kinds ...string) string {
	resources := make([]string, len(kinds))
	for i, kind := range kinds {
		resources[i] = resourceOf(kind)
	}
	return "kubectl get " + strings.Join(resources, ",")
}

// showOne prints an object.
func showOne(kind, name string) string { return "kubectl get " + object(kind, name) + " -o yaml" }

// annotateCommand changes an annotation of a mesh's object.
func annotateCommand(ref mesh.Ref, arguments string) string {
	return "kubectl annotate " + object(ref.Kind, ref.Name) + " " + arguments
}

// showNames lists what istio.io/rev can name.
func showNames() string { return showAll(mesh.KindIstioRevision, kindTag) }
