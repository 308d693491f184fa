package mesh

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/sail"
	"github.com/meshfence/meshfence/webhook/selector"
)

// DefaultTrustBundle is the ConfigMap that istiod writes its root certificate to unless it is told another name
// (istio/pilot/pkg/serviceregistry/kube/controller/namespacecontroller.go).
const DefaultTrustBundle = api.DefaultTrustBundle

// Where the selectors are: in an object of the Sail operator, and in the text of a ConfigMap.
var (
	selectorsPath = field.NewPath("spec", "values", "meshConfig", "discoverySelectors")
	textPath      = field.NewPath("data.mesh: discoverySelectors")
)

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
		NoFill:    main.Metadata.Annotations[sail.FillAnnotation] == "false",

		Sources: []Source{newSource(main, activeRevision(main), read)},
	}
	m.Revisions = append(m.Revisions, m.ActiveRevision)
	for _, r := range revisions {
		m.Revisions = append(m.Revisions, r.Metadata.Name)
		m.Sources = append(m.Sources, newSource(r, r.Metadata.Name, read))
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

// newSource reads an object; revision is the name of the one that it installs.
func newSource(cp *sail.ControlPlane, revision string, read lists) Source {
	values := &cp.Spec.Values
	profile, _ := chartProfile(cp)
	s := Source{
		Ref:                Ref{Kind: cp.Kind, Name: cp.Metadata.Name},
		Revision:           revision,
		TrustBundle:        trustBundle(cp),
		MountedBundle:      mountedBundle(values),
		RevocationList:     revocationList(values),
		ClusterTrustBundle: enabled(values.Pilot.Env.ClusterTrustBundle),
		Shared:             values.Pilot.Env.Shared != "",
		InjectsByDefault:   injectsByDefault(values),
		RefusesTags:        profile == sail.ProfileRemote,

		items: values.MeshConfig.DiscoverySelectors, path: selectorsPath,
	}
	if cp.Installed != nil {
		s.install(cp.Installed)
		s.Unreadable = cp.Malformed
	}
	s.Terms, s.Errors = read.terms(values.MeshConfig.DiscoverySelectors, s.path)
	s.Listing, s.By = listing(cp, revision, s.Errors)
	if cp.Installed != nil {
		s.By = strings.TrimPrefix(s.By, valuesField) // the charts' values are called without it
	}
	switch s.Listing {
	case Selective: // the items, as they were parsed
	case Unset, Invalid:
		s.Terms = []Term{{Selector: selector.All(), Path: s.path.String()}}
	case Unread:
		s.Listed, s.Terms = s.Terms, []Term{{Selector: selector.All(), Path: cmp.Or(s.By, s.path.String())}}
	case Remote:
		s.Terms = nil
	}
	return s
}

// install makes the source that of an istiod which the Sail operator did not install.
func (s *Source) install(i *sail.Installed) {
	s.Kind, s.path, s.Release, s.InjectsByDefault = kindConfigMap, textPath, i.Release, i.ByDefault
}

// kindConfigMap is the kind of the object that has the selectors of an istiod which the Sail operator did not install.
const kindConfigMap = "ConfigMap"

func parseTerms(list []*metav1.LabelSelector, at *field.Path) (terms []Term, errs field.ErrorList) {
	for i, item := range list {
		path := at.Index(i)
		if item == nil {
			item = &metav1.LabelSelector{} // as Istio reads it
		}
		parsed, itemErrs := selector.Parse(item, path)
		errs = append(errs, itemErrs...)
		terms = append(terms, Term{Selector: parsed, Path: path.String()})
	}
	return terms, errs
}

// listing says what the list amounts to, and which field outside of it decides that.
func listing(cp *sail.ControlPlane, revision string, errs field.ErrorList) (l Listing, by string) {
	if cp.Malformed != nil {
		return Invalid, "" // what could not be read may have said anything
	}
	switch l, by := runs(cp, revision); {
	case l != Selective:
		return l, by
	case len(errs) > 0:
		return Invalid, ""
	case len(cp.Spec.Values.MeshConfig.DiscoverySelectors) == 0:
		return Unset, ""
	default:
		return Selective, ""
	}
}
