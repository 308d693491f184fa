package observed

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// injectorsDisagree finds namespaces for which the injector webhooks in the cluster say something else than the meshes, revisions and tags do: the
// webhooks' own selectors are evaluated, for a new pod without labels of its own.
func injectorsDisagree(v *view) []policy.Offence {
	selected := v.selecting()
	var found []policy.Offence
	for _, ns := range v.judged {
		if mesh.NeverInjected(ns.Name) {
			continue
		}
		if f := v.disagreement(ns, selected(ns.Labels)); f != nil {
			found = append(found, ofNamespace(ns.Name, *f))
		}
	}
	return found
}

// disagreement compares the injectors that select a namespace with the mesh that the labels lead to.
func (v *view) disagreement(ns *mesh.Namespace, selecting []*injector) *policy.Finding {
	said := v.fleet.Injecting(ns.Labels)
	f := &policy.Finding{Field: "metadata.labels"}
	for _, in := range selecting {
		f.Subjects = append(f.Subjects, in.Name)
	}
	chosen := "its labels choose no revision"
	if injection := v.fleet.InjectionOf(ns.Labels); injection.By {
		chosen = fmt.Sprintf("its labels choose revision %q", injection.Revision)
		if len(said) > 0 {
			chosen += " of " + theMeshes(said)
		}
	}
	switch {
	case len(selecting) > 1:
		f.Detail = "new pods are sent to several injectors: " + callings(selecting)
		f.Effect = "each adds its sidecar, or the last one that is called wins"
		f.Ways = []policy.Way{run("see their selectors", "kubectl get "+string(Injectors)+" "+strings.Join(f.Subjects, " ")+" -o yaml")}
	case len(selecting) == 0 && (len(said) == 0 || !slices.ContainsFunc(said, v.works)):
		return nil
	case len(selecting) == 0:
		f.Subjects = references(said)
		f.Detail = chosen + ", but no injector webhook in the cluster selects it"
		f.Effect = "new pods come without a sidecar"
		f.Ways = []policy.Way{run("see which revisions and tags are ready", "kubectl get istiorevisions.sailoperator.io,istiorevisiontags.sailoperator.io")}
	case len(said) == 0:
		if v.meshOf(selecting[0]) == nil {
			return nil // the injector of an istiod that is not known, for a namespace that no known mesh injects
		}
		f.Detail = fmt.Sprintf("%s that a mesh injects, but %s selects it", chosen, selecting[0].called())
		f.Effect = "new pods come with a sidecar"
		f.Ways = []policy.Way{run("see its selectors", "kubectl get "+string(Injectors)+" "+selecting[0].Name+" -o yaml")}
	default:
		if m := v.meshOf(selecting[0]); m != nil && slices.Contains(said, m) {
			return nil
		}
		f.Detail = fmt.Sprintf("%s, but %s selects it", chosen, selecting[0].called())
		f.Effect = "new pods get the sidecar of another istiod than the labels say"
		f.Ways = []policy.Way{run("see its selectors", "kubectl get "+string(Injectors)+" "+selecting[0].Name+" -o yaml")}
	}
	return f
}

func callings(all []*injector) string {
	texts := make([]string, 0, shown)
	for _, in := range all[:min(len(all), shown)] {
		texts = append(texts, in.called())
	}
	if len(all) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(texts, ", "), len(all)-shown)
	}
	return strings.Join(texts, ", ")
}

// selecting returns a function that says which injectors select a namespace, by name of the configuration. Namespaces that have the same values of the labels
// that the selectors read are looked at once.
func (v *view) selecting() func(labels map[string]string) []*injector {
	all := sorted(v.injectors, func(a, b injector) int { return compareMeta(&a.meta, &b.meta) })
	var keys []string
	for i := range all {
		for _, w := range all[i].webhooks {
			keys = append(keys, w.namespaces.Keys()...)
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	known := map[string][]*injector{}
	return func(labels map[string]string) []*injector {
		var seen strings.Builder
		for _, key := range keys {
			value, there := labels[key]
			fmt.Fprintf(&seen, "%t %q ", there, value)
		}
		selecting, ok := known[seen.String()]
		if !ok {
			for i := range all {
				if all[i].selects(labels) {
					selecting = append(selecting, &all[i])
				}
			}
			known[seen.String()] = selecting
		}
		return selecting
	}
}
