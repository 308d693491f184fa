package match

import "strings"

// The match condition of the webhook about mesh configurations of istiods. The API server sends only ConfigMaps with the label istio.io/rev, of whichever name: the
// rest is left to the expression. On CREATE oldObject is null, on DELETE object is.

// MeshConfigName is the name of that match condition.
const MeshConfigName = "mesh-configuration"

// MeshConfigExpression returns the condition under which a ConfigMap is judged: it has the name of a mesh configuration, none of the Sail operator's objects owns it, and
// what istiod or meshfence read of it is not as it was before.
func MeshConfigExpression() string {
	changed := []string{
		"object == null", created,
		"object.?data[?'mesh'] != oldObject.?data[?'mesh']",
		changed(quote(revisionLabel)),
	}
	for _, annotation := range []string{allowOverlap, allowOverlapUntil, fillAnnotation} {
		changed = append(changed, strings.ReplaceAll("object.metadata.?annotations[?'X'] != oldObject.?metadata.?annotations[?'X']", "X", annotation))
	}
	return `(request.name == 'istio' || request.name.startsWith('istio-') && !request.name.startsWith('istio-ca-')) &&
!(object == null ? oldObject : object).metadata.?ownerReferences.orValue([]).exists(owner, owner.apiVersion.startsWith('sailoperator.io/')) && (
` + strings.Join(changed, or) + "\n)"
}
