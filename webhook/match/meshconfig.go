package match

import (
	"strings"

	"github.com/meshfence/meshfence/webhook/api"
)

// The match condition of the webhook about mesh configurations of istiods. The API server sends only ConfigMaps with the label istio.io/rev, of whichever name: the
// rest is left to the expression. On CREATE oldObject is null, on DELETE object is.

// MeshConfigName is the name of that match condition.
const MeshConfigName = "mesh-configuration"

// MeshConfigExpression returns the condition under which a ConfigMap is judged: it has the name of a mesh configuration, none of the Sail operator's objects owns it, before
// and after, and what istiod or meshfence read of it is not as it was before, or it belonged to another program. A reference to an owner can be made up, so one that is
// new excuses nothing. The name is that of the object: a request has none where the API server
// makes it.
func MeshConfigExpression() string {
	changes := []string{
		"object == null", created, ownedBySail("oldObject"), ownedBySail("object"),
		"object.?data[?'mesh'] != oldObject.?data[?'mesh']",
		changed(quote(revisionLabel)), changed(quote(api.ManagedByLabel)), changed(quote(api.MaistraVersionLabel)),
	}
	for _, annotation := range []string{allowOverlap, allowOverlapUntil, fillAnnotation, api.AcceptAnnotation, api.AcceptUntilAnnotation} {
		changes = append(changes, strings.ReplaceAll("object.metadata.?annotations[?'X'] != oldObject.?metadata.?annotations[?'X']", "X", annotation))
	}
	const judged = "(object == null ? oldObject : object)"
	name := judged + ".metadata.name"
	return "(" + name + " == 'istio' || " + name + ".startsWith('istio-') && !(" + name + " in ['istio-ca-root-cert', 'istio-ca-crl'])) &&\n(!" +
		ownedBySail(judged) + " || object != null && oldObject != null && !" + ownedBySail("oldObject") + ") && (\n" + strings.Join(changes, or) + "\n)"
}

func ownedBySail(object string) string {
	return object + ".metadata.?ownerReferences.orValue([]).exists(owner, owner.apiVersion.startsWith('" + api.SailGroup + "/'))"
}
