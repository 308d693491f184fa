package observed

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/istiod"
	"github.com/meshfence/meshfence/webhook/policy"
)

// selectorsInvalidLive finds mesh configurations that do not parse while their istiod runs, with the selectors that it read before. When it starts
// again it has none, and discovers everything.
func selectorsInvalidLive(v *view) []policy.Offence {
	var found []policy.Offence
	for _, c := range v.allConfigs() {
		deployment := v.istiodOf(c.Namespace, c.revision())
		if c.text && c.err == nil || deployment == nil || c.deleting() {
			continue
		}
		f := policy.Finding{
			Field:  "data." + istiod.MeshKey,
			Effect: fmt.Sprintf("istiod of Deployment %q runs on with what it read before; when it starts again, it discovers every namespace: do not restart it", deployment.Metadata.Name),
			Ways: []policy.Way{
				run("see the text", fmt.Sprintf("kubectl get configmap %s --namespace %s -o jsonpath='{.data.mesh}'", c.Name, c.Namespace)),
				say("put it right where it comes from: the Istio, or the values of the Helm release"),
			},
		}
		if c.text {
			f.Detail = "its mesh configuration cannot be used: " + oneLine(c.err.Error())
		} else {
			f.Detail = "it has no mesh configuration"
		}
		found = append(found, policy.Offence{Kind: "ConfigMap", Namespace: c.Namespace, Name: c.Name, Finding: f})
	}
	return found
}
