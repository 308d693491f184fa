package istiod

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/api"
)

// Injector is a MutatingWebhookConfiguration that has an istiod inject pods: of a revision, or of a tag.
type Injector struct {
	Meta
	// Service is the namespace of the istiod that is called. Where it is called by a URL, it is the namespace that the name of the configuration says.
	Service string
	// Remote says that it is called by a URL.
	Remote bool
	// ByDefault says that it takes namespaces without labels too.
	ByDefault bool
}

// DecodeInjector reads a webhook configuration; nil if it is none of an istiod's revision or tag.
func DecodeInjector(raw []byte) (*Injector, error) {
	object, err := decode[struct {
		Metadata rawMeta `json:"metadata"`
		Webhooks []struct {
			ClientConfig struct {
				URL     string `json:"url"`
				Service struct {
					Namespace string `json:"namespace"`
				} `json:"service"`
			} `json:"clientConfig"`
			NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector"`
			ObjectSelector    *metav1.LabelSelector `json:"objectSelector"`
		} `json:"webhooks"`
	}](raw)
	if err != nil {
		return nil, err
	}
	if object.Metadata.Labels[api.RevisionLabel] == "" || len(object.Webhooks) == 0 {
		return nil, nil //nolint:nilnil // it is none of an istiod's
	}
	read := &Injector{Meta: object.Metadata.read()}
	for _, w := range object.Webhooks {
		read.Service, read.Remote = w.ClientConfig.Service.Namespace, w.ClientConfig.URL != ""
		if w.NamespaceSelector != nil && w.ObjectSelector != nil && excludesOnly(w.NamespaceSelector) && excludesOnly(w.ObjectSelector) {
			read.ByDefault = true
		}
	}
	if read.Service == "" {
		read.Service = namespaceIn(read.Name, read.Revision)
	}
	return read, nil
}

// excludesOnly reports whether a selector takes what has no label.
func excludesOnly(s *metav1.LabelSelector) bool {
	return len(s.MatchLabels) == 0 && !slices.ContainsFunc(s.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool {
		return r.Operator != metav1.LabelSelectorOpDoesNotExist && r.Operator != metav1.LabelSelectorOpNotIn
	})
}

// namespaceIn reads the namespace of an istiod from the name of its webhook configuration, which ends with it unless it is istio-system
// (templates/mutatingwebhook.yaml).
func namespaceIn(name, revision string) string {
	rest := strings.TrimPrefix(name, injectorPrefix)
	if revision != DefaultRevision {
		rest = strings.TrimPrefix(rest, "-"+revision)
	}
	if namespace := strings.TrimPrefix(rest, "-"); namespace != "" && namespace != name {
		return namespace
	}
	return api.DefaultControlPlaneNamespace
}
