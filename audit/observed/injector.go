package observed

import (
	"encoding/base64"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// injector is a MutatingWebhookConfiguration that has an istiod inject pods.
type injector struct {
	meta
	webhooks []webhook
}

// webhook is one of its webhooks.
type webhook struct {
	// service is the namespace of the istiod that is called; "" for a URL.
	service string
	roots   certificates
	// namespaces and pods are the selectors; unread says that one does not parse, which the API server refuses.
	namespaces, pods selector.Selector
	unread           bool
}

// addInjector reads a webhook configuration. Webhooks that are not for new pods are none of an injector's.
func (c *Cluster) addInjector(raw []byte) error {
	object, err := decode[struct {
		Metadata meta `json:"metadata"`
		Webhooks []struct {
			ClientConfig struct {
				Service struct {
					Namespace string `json:"namespace"`
				} `json:"service"`
				CABundle string `json:"caBundle"`
			} `json:"clientConfig"`
			NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector"`
			ObjectSelector    *metav1.LabelSelector `json:"objectSelector"`
			Rules             []struct {
				Resources []string `json:"resources"`
			} `json:"rules"`
		} `json:"webhooks"`
	}](raw)
	if err != nil {
		return err
	}
	in := injector{meta: object.Metadata}
	for _, w := range object.Webhooks {
		forPods := false
		for _, r := range w.Rules {
			forPods = forPods || slices.ContainsFunc(r.Resources, func(resource string) bool { return resource == "pods" || resource == "*" })
		}
		if !forPods {
			continue
		}
		bundle, err := base64.StdEncoding.DecodeString(w.ClientConfig.CABundle)
		if err != nil {
			return err
		}
		read := webhook{service: w.ClientConfig.Service.Namespace, roots: parseCertificates(bundle)}
		var unread [2]bool
		read.namespaces, unread[0] = parsed(w.NamespaceSelector)
		read.pods, unread[1] = parsed(w.ObjectSelector)
		read.unread = unread[0] || unread[1]
		in.webhooks = append(in.webhooks, read)
	}
	c.injectors = append(c.injectors, in)
	return nil
}

// parsed reads a selector of a webhook: none selects everything.
func parsed(s *metav1.LabelSelector) (read selector.Selector, failed bool) {
	if s == nil {
		return selector.All(), false
	}
	read, errs := selector.Parse(s, nil)
	return read, len(errs) > 0
}

// tag returns the tag that the webhooks stand for, "" for those of a revision.
func (in *injector) tag() string { return in.Labels[api.TagLabel] }

// revision returns the revision whose istiod is called.
func (in *injector) revision() string { return in.Labels[api.RevisionLabel] }

// selects reports whether a new pod without labels of its own is sent to the injector in a namespace with these labels.
func (in *injector) selects(labels map[string]string) bool {
	return slices.ContainsFunc(in.webhooks, func(w webhook) bool {
		return !w.unread && w.namespaces.Matches(labels) && w.pods.Matches(nil)
	})
}

// meshOf returns the mesh whose istiod an injector calls: that of its revision whose control plane is in the namespace of the service, nil if
// there is none.
func (v *view) meshOf(in *injector) *mesh.Mesh {
	for _, m := range v.revisions[in.revision()] {
		if !slices.ContainsFunc(in.webhooks, func(w webhook) bool { return w.service != "" && w.service != m.ControlPlane }) {
			return m
		}
	}
	return nil
}

// called names an injector for a person.
func (in *injector) called() string {
	text := "webhook configuration " + `"` + in.Name + `"`
	if services := in.services(); len(services) > 0 {
		text += " (istiod in " + strings.Join(services, " and ") + ")"
	}
	return text
}

// services are the namespaces of the istiods that are called, sorted.
func (in *injector) services() []string {
	var names []string
	for _, w := range in.webhooks {
		if w.service != "" {
			names = append(names, w.service)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
