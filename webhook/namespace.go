package webhook

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/kube"
)

var namespaceKind = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}

// decodeNamespace reads a Namespace. Its name may still be to be generated; the request's is empty then too.
func decodeNamespace(_ *admission.Request, raw []byte) (*kube.Namespace, error) {
	return kube.DecodeNamespace(raw)
}
