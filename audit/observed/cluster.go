package observed

import (
	"crypto/sha256"
	"fmt"
	"slices"

	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook/api"
)

// Cluster is what was read of a cluster. The zero value has nothing, and says that nothing is missing.
type Cluster struct {
	missing map[Resource]string

	peerAuthentications []peerAuthentication
	injectors           []injector
	certificates        map[objectKey]*rootCertificate
	bundles             map[[sha256.Size]byte]certificates // what parsed has parsed
	configs             []meshConfig
	pods                map[podGroup]int
	gateways            []gateway
	classes             map[string]string // controllers by name of the class
	cnis                []cni
	ztunnels            []ztunnel
	istiods             []istiodDeployment
	planes              map[string]*plane // the Sail operator's objects, by kind and name
	counts              map[Resource]int
}

// objectKey names a namespaced object.
type objectKey struct{ Namespace, Name string }

// Miss says that a resource could not be read. The rules that need it are not judged. One that the API server does not serve is not
// missing: there are no such objects.
func (c *Cluster) Miss(r Resource, why string) {
	if c.missing == nil {
		c.missing = map[Resource]string{}
	}
	c.missing[r] = why
}

// Count returns how many objects of a resource were read.
func (c *Cluster) Count(r Resource) int {
	if r == RootCertificates { // of which some are read twice
		return len(c.certificates)
	}
	return c.counts[r]
}

// Add reads an object of a resource from JSON. An error means that a field has another type than its definition says; the object is left out.
func (c *Cluster) Add(r Resource, raw []byte) error {
	err := c.add(r, raw)
	if err != nil {
		return fmt.Errorf("an object of %s cannot be read: %w", r, err)
	}
	if c.counts == nil {
		c.counts = map[Resource]int{}
	}
	c.counts[r]++
	return nil
}

func (c *Cluster) add(r Resource, raw []byte) error {
	switch r {
	case PeerAuthentications:
		return appended(&c.peerAuthentications, raw)
	case Injectors:
		return c.addInjector(raw)
	case RootCertificates:
		return c.addCertificate(raw)
	case MeshConfigs:
		return c.addConfig(raw)
	case Pods:
		return c.addPod(raw)
	case Gateways:
		return appended(&c.gateways, raw)
	case GatewayClasses:
		return c.addClass(raw)
	case CNIs:
		return appended(&c.cnis, raw)
	case ZTunnels:
		return appended(&c.ztunnels, raw)
	case Istiods:
		return appended(&c.istiods, raw)
	case Istios:
		return c.AddPlane(api.KindIstio, raw)
	case IstioRevisions:
		return c.AddPlane(api.KindIstioRevision, raw)
	default:
		return fmt.Errorf("no rule reads %s", r)
	}
}

// appended decodes an object and appends it.
func appended[T any](to *[]T, raw []byte) error {
	object, err := decode[T](raw)
	if err == nil {
		*to = append(*to, object)
	}
	return err
}

func decode[T any](raw []byte) (object T, err error) {
	return object, kjson.UnmarshalCaseSensitivePreserveInts(raw, &object)
}

// sorted puts what came in the order of lists into the order of reports, which does not depend on it.
func sorted[T any](list []T, compare func(a, b T) int) []T {
	list = slices.Clone(list)
	slices.SortStableFunc(list, compare)
	return list
}
