package runner

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshfence/meshfence/webhook/api"
)

// Kinds are the resources of the kinds that findings are about.
func Kinds() map[string]schema.GroupVersionResource {
	return map[string]schema.GroupVersionResource{
		"Namespace":                    {Version: "v1", Resource: "namespaces"},
		"ConfigMap":                    {Version: "v1", Resource: "configmaps"},
		"Deployment":                   {Group: "apps", Version: "v1", Resource: "deployments"},
		"Gateway":                      {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"},
		"MutatingWebhookConfiguration": {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"},
		api.KindIstio:                  {Group: api.SailGroup, Version: api.SailVersion, Resource: api.ResourceIstios},
		api.KindIstioRevision:          {Group: api.SailGroup, Version: api.SailVersion, Resource: api.ResourceIstioRevisions},
		api.KindIstioRevisionTag:       {Group: api.SailGroup, Version: api.SailVersion, Resource: api.ResourceIstioRevisionTags},
		"IstioCNI":                     {Group: api.SailGroup, Version: api.SailVersion, Resource: "istiocnis"},
	}
}
