package istiod

import (
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/api"
)

// Kinds of the objects of an istiod.
const (
	KindConfigMap  = "ConfigMap"
	KindDeployment = "Deployment"
	KindInjector   = "MutatingWebhookConfiguration"
	KindService    = "Service"
)

// Part is one object of an istiod; one of its fields is set.
type Part struct {
	ConfigMap  *ConfigMap
	Deployment *Deployment
	Injector   *Injector
	Service    *Service
}

// Concerns reports whether an object of this API version, kind and name can be an istiod's. Decode looks at its labels too.
func Concerns(apiVersion, kind, name string) bool {
	switch {
	case apiVersion == "v1" && kind == KindConfigMap:
		_, config := revisionOf(name, configMapPrefix)
		return config
	case apiVersion == "apps/v1" && kind == KindDeployment:
		return strings.HasPrefix(name, "istiod")
	case apiVersion == "admissionregistration.k8s.io/v1" && kind == KindInjector:
		return strings.HasPrefix(name, "istio-")
	case apiVersion == "v1" && kind == KindService:
		return strings.HasPrefix(name, "istiod-revision-tag-")
	default:
		return false
	}
}

// Decode reads an object; nil if it is none of an istiod's. An object without a namespace is taken for one in istio-system.
func Decode(kind string, raw []byte) (part *Part, err error) {
	part = &Part{}
	switch kind {
	case KindConfigMap:
		part.ConfigMap, err = DecodeConfigMap(raw)
	case KindDeployment:
		part.Deployment, err = DecodeDeployment(raw)
	case KindInjector:
		part.Injector, err = DecodeInjector(raw)
	case KindService:
		part.Service, err = DecodeService(raw)
	}
	if err != nil || *part == (Part{}) {
		return nil, err
	}
	if m := part.meta(); m.Namespace == "" {
		m.Namespace = api.DefaultControlPlaneNamespace
	}
	return part, nil
}

// DropVersion forgets the version of the object.
func (p *Part) DropVersion() { p.meta().ResourceVersion = "" }

// OfVersion returns a copy of the object with that uid and version.
func (p *Part) OfVersion(uid, version string) *Part {
	of := *p
	switch {
	case p.ConfigMap != nil:
		c := *p.ConfigMap
		of.ConfigMap = &c
	case p.Deployment != nil:
		d := *p.Deployment
		of.Deployment = &d
	case p.Injector != nil:
		i := *p.Injector
		of.Injector = &i
	default:
		s := *p.Service
		of.Service = &s
	}
	m := of.meta()
	m.UID, m.ResourceVersion = uid, version
	return &of
}

// BySailOperator reports whether the object belongs to one of the Sail operator's.
func (p *Part) BySailOperator() bool { return p.meta().Installer == SailOperator }

// IsConfig reports whether the object has a mesh configuration.
func (p *Part) IsConfig() bool { return p.ConfigMap != nil && p.ConfigMap.Config != nil }

func (p *Part) meta() *Meta {
	switch {
	case p.ConfigMap != nil:
		return &p.ConfigMap.Meta
	case p.Deployment != nil:
		return &p.Deployment.Meta
	case p.Injector != nil:
		return &p.Injector.Meta
	default:
		return &p.Service.Meta
	}
}

// With puts an object in the place of the one of its kind, namespace and name, or adds it. It does not write the receiver.
func (o Objects) With(p *Part) Objects {
	o = o.Without(p)
	o.Add(p)
	return o
}

// Without takes the object of a part's kind, namespace and name away, if it is there. It does not write the receiver.
func (o Objects) Without(p *Part) Objects {
	switch m := p.meta(); {
	case p.ConfigMap != nil:
		o.ConfigMaps = without(o.ConfigMaps, func(c *ConfigMap) bool { return c.same(m) })
	case p.Deployment != nil:
		o.Deployments = without(o.Deployments, func(d *Deployment) bool { return d.same(m) })
	case p.Injector != nil:
		o.Injectors = without(o.Injectors, func(i *Injector) bool { return i.same(m) })
	case p.Service != nil:
		o.Services = without(o.Services, func(s *Service) bool { return s.same(m) })
	}
	return o
}

// without returns a copy of a list; its capacity is its own.
func without[T any](list []T, gone func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), gone)
}

func (m *Meta) same(other *Meta) bool { return m.Namespace == other.Namespace && m.Name == other.Name }

// Add adds an object.
func (o *Objects) Add(p *Part) {
	switch {
	case p.ConfigMap != nil:
		o.ConfigMaps = append(o.ConfigMaps, p.ConfigMap)
	case p.Deployment != nil:
		o.Deployments = append(o.Deployments, p.Deployment)
	case p.Injector != nil:
		o.Injectors = append(o.Injectors, p.Injector)
	case p.Service != nil:
		o.Services = append(o.Services, p.Service)
	}
}
