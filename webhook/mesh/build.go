package mesh

import (
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/meshfence/meshfence/webhook/sail"
	"github.com/meshfence/meshfence/webhook/selector"
)

// DefaultTrustBundle is the ConfigMap that istiod writes its root certificate to unless it is told another name
// (istio/pilot/pkg/serviceregistry/kube/controller/namespacecontroller.go).
const DefaultTrustBundle = "istio-ca-root-cert"

var selectorsPath = field.NewPath("spec", "values", "meshConfig", "discoverySelectors")

// newMesh makes one mesh of its main object and the IstioRevisions that belong to it. read reads their lists of selectors.
func newMesh(main *sail.ControlPlane, revisions []*sail.ControlPlane, read lists) *Mesh {
	m := &Mesh{
		Ref:            Ref{Kind: main.Kind, Name: main.Metadata.Name},
		ControlPlane:   controlPlaneNamespace(main),
		ActiveRevision: activeRevision(main),
		Allowed:        main.Metadata.AllowedOverlap(),
		Malformed:      main.Malformed,

		Version:   main.Spec.Version,
		AmbientBy: ambientBy(main),

		Sources: []Source{newSource(main, read)},
	}
	m.Revisions = append(m.Revisions, m.ActiveRevision)
	for _, r := range revisions {
		m.Revisions = append(m.Revisions, r.Metadata.Name)
		m.Sources = append(m.Sources, newSource(r, read))
	}
	slices.Sort(m.Revisions)
	m.Revisions = slices.Compact(m.Revisions)
	slices.SortFunc(m.Sources[1:], func(a, b Source) int { return strings.Compare(a.Name, b.Name) })
	return m
}

func controlPlaneNamespace(cp *sail.ControlPlane) string {
	if cp.Spec.Namespace == "" {
		return sail.DefaultNamespace
	}
	return cp.Spec.Namespace
}

// activeRevision is the name of the revision that the operator makes active: the Istio's own name with update strategy
// InPlace, name and version with RevisionBased. A version alias such as v1.30-latest goes into the name as it is
// (getActiveRevisionName in sail-operator/controllers/istio/istio_controller.go).
func activeRevision(cp *sail.ControlPlane) string {
	name := cp.Metadata.Name
	if cp.Kind == sail.KindIstio && cp.Spec.UpdateStrategy.Type == sail.RevisionBased {
		return name + "-" + strings.ReplaceAll(cp.Spec.Version, ".", "-")
	}
	return name
}

func newSource(cp *sail.ControlPlane, read lists) Source {
	s := Source{
		Ref:              Ref{Kind: cp.Kind, Name: cp.Metadata.Name},
		TrustBundle:      trustBundle(cp),
		InjectsByDefault: cp.Spec.Values.Injector.EnableNamespacesByDefault,

		items: cp.Spec.Values.MeshConfig.DiscoverySelectors,
	}
	s.Terms, s.Errors = read.terms(cp.Spec.Values.MeshConfig.DiscoverySelectors)
	s.Listing = listing(cp, s.Errors)
	switch s.Listing {
	case Selective: // the items, as they were parsed
	case Unset, Invalid:
		s.Terms = []Term{{Selector: selector.All(), Path: selectorsPath.String()}}
	case Remote:
		s.Terms = nil
	}
	return s
}

func parseTerms(list []*metav1.LabelSelector) (terms []Term, errs field.ErrorList) {
	for i, item := range list {
		path := selectorsPath.Index(i)
		parsed, itemErrs := selector.Parse(item, path)
		errs = append(errs, itemErrs...)
		terms = append(terms, Term{Selector: parsed, Path: path.String()})
	}
	return terms, errs
}

func listing(cp *sail.ControlPlane, errs field.ErrorList) Listing {
	switch {
	case cp.Spec.Profile == sail.ProfileRemote, cp.Spec.Values.Profile == sail.ProfileRemote:
		return Remote
	case len(errs) > 0, cp.Malformed != nil:
		return Invalid
	case len(cp.Spec.Values.MeshConfig.DiscoverySelectors) == 0:
		return Unset
	default:
		return Selective
	}
}

// ambientEnv is the environment variable of istiod that switches ambient mode on.
const ambientEnv = "PILOT_ENABLE_AMBIENT"

// ambientBy returns the path of the field that makes the mesh one of ambient mode, "" if none does: a profile (ambient,
// openshift-ambient), or istiod's environment, which istiod reads as Go does a boolean, so that 1 and TRUE switch it on
// too, and what is no boolean does not (istio/pkg/env/var.go).
func ambientBy(cp *sail.ControlPlane) string {
	enabled, err := strconv.ParseBool(cp.Spec.Values.Pilot.Env.Ambient)
	switch {
	case strings.HasSuffix(cp.Spec.Profile, "ambient"):
		return "spec.profile"
	case strings.HasSuffix(cp.Spec.Values.Profile, "ambient"):
		return "spec.values.profile"
	case err == nil && enabled:
		return "spec.values.pilot.env[" + ambientEnv + "]"
	default:
		return ""
	}
}

func trustBundle(cp *sail.ControlPlane) string {
	for _, name := range []string{cp.Spec.Values.Global.TrustBundleName, cp.Spec.Values.Pilot.Env.TrustBundle} {
		if name != "" {
			return name
		}
	}
	return DefaultTrustBundle
}
