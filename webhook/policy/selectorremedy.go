package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// maxExclusions bounds the requirements that keep a proposed selector apart from other meshes: it only feeds messages.
const maxExclusions = 4

// selectorRemedy has a mesh that discovers everything keep the selectors that it has had, or gives it one of its own: as a command if
// the mesh is stored already, else as the lines of its manifest. If its istiod does not read the selectors that it has, and those are
// good, that is all that changes. others are those that it fights with.
func selectorRemedy(m *mesh.Mesh, f Finding, others []*mesh.Mesh, w *World) remedy {
	is := w.curedOf(m.Ref, f, discoversEverything)
	var ways remedy
	switch own := &m.Sources[0]; {
	case !w.Updating:
		ways = manifest(m, w)
	default:
		ways = keepSelectors(m, w, is)
		if len(ways) == 0 {
			ways = keepReading(m, w, is)
		}
		if len(ways) == 0 {
			ways = ownSelectors(giveSelector, m, w, is)
		}
		if len(ways) == 0 {
			ways = remedy{say(byHand(m, w))}
		}
		stored := w.rightBefore(m, is)
		if own.Listing != mesh.Invalid && own.Listing != mesh.Unread && (stored == nil || !stored.SameLists(m)) {
			ways = append(remedy{say(misspelt)}, ways...)
		}
	}
	if len(others) > 0 {
		ways = append(ways, overlapWays(m, others, w, is)...)
	}
	return ways
}

// misspelt is a likely reason for an empty selector.
const misspelt = "look for a misspelt field, such as matchLabel: the API server drops it, which leaves {}"

// byHand says what the owner of a mesh has to do where no command does it.
func byHand(m *mesh.Mesh, w *World) string {
	own, apart := ownSelector(m, w)
	if !apart {
		return fmt.Sprintf("the owner of %s has to give it selectors that no other mesh has, once the namespaces that it injects have labels for them", m.Ref)
	}
	return fmt.Sprintf("the owner of %s has to give it a selector of its own, such as %s, once the namespaces that it injects have labels for it", m.Ref, selectorYAML(own))
}

// manifest are the lines that a mesh which is created lacks.
func manifest(m *mesh.Mesh, w *World) remedy {
	label := giveSelector
	var ways remedy
	switch own := &m.Sources[0]; {
	case own.Listing == mesh.Unread && goodOnceRead(m, w):
		return remedy{run("have istiod read its selectors", valuesLine(m, readYAML(m)))}
	case own.Listing == mesh.Unread:
		label = "have istiod read its selectors, and give it one of its own"
	case own.Listing != mesh.Invalid:
		ways = remedy{say(misspelt)}
	}
	own, _ := ownSelector(m, w)
	values := fmt.Sprintf("meshConfig: {discoverySelectors: [%s]}", selectorYAML(own))
	if m.Sources[0].Listing == mesh.Unread {
		values += ", " + readYAML(m)
	}
	return append(ways, run(label, valuesLine(m, values)))
}

// valuesLine is the line with some values of a mesh that is not stored yet: of the manifest of an object, or of a values file for the chart.
func valuesLine(m *mesh.Mesh, values string) string {
	if m.Kind == mesh.KindIstiod {
		return values
	}
	return "spec: {values: {" + values + "}}"
}

// goodOnceRead reports whether the selectors that the mesh's istiod does not read leave out some namespaces, and keep apart
// from other meshes.
func goodOnceRead(m *mesh.Mesh, w *World) bool {
	read := *m
	read.Sources = slices.Clone(m.Sources)
	own := &read.Sources[0]
	own.Listing, own.Terms = mesh.Selective, own.Listed
	why, _ := everythingBecause(&read)
	return len(own.Errors) == 0 && len(own.Listed) > 0 && why == "" && len(meshesFought(&read, w)) == 0
}

// readSetting and readYAML are the values with which istiod reads its selectors. unread is the field because of which it does not.
func readSetting(unread string) setting {
	if isRevisionVariable(unread) {
		return setting{"pilot.env.REVISION", "null"}
	}
	return setting{"pilot.configMap", "true"}
}

// isRevisionVariable reports whether a field is the variable that names another revision.
func isRevisionVariable(field string) bool {
	return strings.HasSuffix(revisionVariableField, field) && field != ""
}

func readYAML(m *mesh.Mesh) string {
	if isRevisionVariable(m.Sources[0].By) {
		return "pilot: {env: {REVISION: " + yamlValue(m.ActiveRevision) + "}}"
	}
	return "pilot: {configMap: true}"
}

const revisionVariableField = "spec.values.pilot.env[REVISION]"

// selectorYAML shows a selector as YAML in one line.
func selectorYAML(s metav1.LabelSelector) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		parts = append(parts, fmt.Sprintf("matchLabels: {%s: %s}", key, yamlValue(s.MatchLabels[key])))
	}
	if len(s.MatchExpressions) > 0 {
		var expressions []string
		for _, r := range s.MatchExpressions {
			expressions = append(expressions, requirement(r))
		}
		parts = append(parts, "matchExpressions: ["+strings.Join(expressions, ", ")+"]")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// ownSelector asks for a discovery label whose value is the mesh's name, and keeps apart from the selectors of all other
// meshes, except those for everything, which no selector can. If that is not to be had, ok is false.
func ownSelector(m *mesh.Mesh, w *World) (own metav1.LabelSelector, ok bool) {
	usual := discoveryLabel(w)
	for _, key := range slices.Concat([]string{usual}, w.DiscoveryLabels) {
		if own, ok := apart(metav1.LabelSelector{MatchLabels: map[string]string{key: m.Name}}, m, w); ok {
			return own, true
		}
	}
	return metav1.LabelSelector{MatchLabels: map[string]string{usual: m.Name}}, false
}

// apart adds requirements to a selector of m until no other mesh's overlaps with it.
func apart(s metav1.LabelSelector, m *mesh.Mesh, w *World) (metav1.LabelSelector, bool) {
	for _, other := range w.Fleet.Meshes() {
		if other.Ref == m.Ref {
			continue
		}
		for _, source := range other.Sources {
			for _, term := range source.Terms {
				var ok bool
				if s, ok = excluding(s, term.Selector); !ok {
					return s, false
				}
			}
		}
	}
	return s, true
}

// excluding adds a requirement, if it needs one, that keeps s apart from a selector.
func excluding(s metav1.LabelSelector, from selector.Selector) (metav1.LabelSelector, bool) {
	parsed, errs := selector.Parse(&s, nil)
	if len(errs) > 0 {
		return s, false
	}
	if _, overlaps := selector.Overlap(parsed, from); !overlaps || from.Everything() {
		return s, true
	}
	r, ok := parsed.Exclude(from)
	s.MatchExpressions = append(s.MatchExpressions, r)
	return s, ok && len(s.MatchExpressions) <= maxExclusions && len(r.Values) <= maxValues
}

// discoveryLabel is the configured discovery label that other meshes use already, else the first.
func discoveryLabel(w *World) string {
	used := w.Fleet.SelectorKeys()
	for _, key := range w.DiscoveryLabels {
		if slices.Contains(used, key) {
			return key
		}
	}
	if len(w.DiscoveryLabels) > 0 {
		return w.DiscoveryLabels[0]
	}
	return "istio-discovery"
}
