package istiod

import "slices"

// Reduce takes away from an object, as it is decoded from JSON, what Decode does not read: templates of an injector, certificates, and of a Deployment all
// but the variables that are judged.
func Reduce(kind string, object map[string]any) {
	switch kind {
	case KindConfigMap:
		data, _ := object["data"].(map[string]any)
		for key := range data {
			if key != MeshKey && key != valuesKey {
				delete(data, key)
			}
		}
	case KindDeployment:
		object["spec"] = map[string]any{"template": map[string]any{"spec": map[string]any{"containers": environments(object)}}}
	case KindInjector:
		webhooks, _ := object["webhooks"].([]any)
		for _, webhook := range webhooks {
			w, _ := webhook.(map[string]any)
			if config, _ := w["clientConfig"].(map[string]any); config != nil {
				delete(config, "caBundle")
			}
		}
	case KindService:
		delete(object, "spec")
	}
}

// judgedVariables are the variables of istiod's environment that sail.Env has.
var judgedVariables = []string{
	"PILOT_ENABLE_AMBIENT", "PILOT_CA_CERT_CONFIGMAP", "PILOT_CRL_CONFIGMAP", "EXTERNAL_ISTIOD", "ENABLE_CLUSTER_TRUST_BUNDLE_API", "REVISION",
	"SHARED_MESH_CONFIG",
}

// environments are the containers of a Deployment with the variables that are judged.
func environments(object map[string]any) []any {
	at := func(m map[string]any, key string) map[string]any { inner, _ := m[key].(map[string]any); return inner }
	containers, _ := at(at(at(object, "spec"), "template"), "spec")["containers"].([]any)
	kept := []any{}
	for _, container := range containers {
		c, _ := container.(map[string]any)
		var env []any
		variables, _ := c["env"].([]any)
		for _, variable := range variables {
			v, _ := variable.(map[string]any)
			if name, _ := v["name"].(string); slices.Contains(judgedVariables, name) {
				env = append(env, variable)
			}
		}
		kept = append(kept, map[string]any{"name": c["name"], "env": env})
	}
	return kept
}
