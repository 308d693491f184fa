package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// maxPatch is how many characters of selectors a command may have.
const maxPatch = 1500

// proposal is a command that changes a mesh's object, and what it does.
type proposal struct {
	editing
	// commands are none if the mesh was not installed by a program that has commands for it.
	commands []string
}

// cured reports, for a cluster in which a command has been run, whether what it is for is gone there.
type cured func(after *mesh.Fleet, namespaces []mesh.Namespace) bool

// curedOf is about a finding of a rule of kind state about a mesh. A mesh that is not there has none.
func (w *World) curedOf(ref mesh.Ref, f Finding, state func(*mesh.Mesh, *World) []Finding) cured {
	return func(after *mesh.Fleet, _ []mesh.Namespace) bool {
		m := after.Mesh(ref)
		return m == nil || !slices.ContainsFunc(state(m, w.in(after)), func(g Finding) bool {
			return len(f.Subjects) == 0 || slices.ContainsFunc(f.Subjects, func(s string) bool { return slices.Contains(g.Subjects, s) })
		})
	}
}

// mends reports whether a change of a mesh is admitted and cures. If it is another mesh than the one whose change is refused, then that
// change must be right when it is made again.
func (w *World) mends(p proposal, namespaces []mesh.Namespace, is cured) bool {
	base := w.base()
	after := w.tried(base, namespaces, p.editing)
	if after == nil || !is(after, namespaces) {
		return false
	}
	if base == w.Fleet || p.ref == w.judged {
		return true
	}
	again := w.Fleet.Edited(p.ref, p.edit, true)
	return again != nil && is(again, namespaces)
}

// ways are the proposals that mend.
func (w *World) ways(label string, p proposal, ok bool, is cured) remedy {
	if !ok || len(p.commands) == 0 || !w.mends(p, w.Namespaces, is) {
		return nil
	}
	return remedy{run(label, p.commands...)}
}

// selecting gives a mesh other selectors, and has its istiod read them if there is a field because of which it does not; ok is false if they are too long for a command, or cannot be written.
func selecting(m *mesh.Mesh, list []*metav1.LabelSelector, unread string) (p proposal, ok bool) {
	text, err := json.Marshal(list)
	if err != nil || len(text) > maxPatch || len(list) == 0 || slices.Contains(list, nil) || strings.Contains(string(text), "'") {
		return proposal{}, false
	}
	settings := []setting{{"meshConfig.discoverySelectors", string(text)}}
	if unread != "" {
		settings = append(settings, readSetting(unread))
	}
	if lacksConfig(m) {
		settings = append(settings, readSetting(""))
	}
	commands := setValues(m, settings...)
	return proposal{editing{m.Ref, mesh.Edit{Selectors: list, Reads: unread}}, commands}, len(commands) > 0
}

// reading has a mesh's istiod read the selectors that it has.
func reading(m *mesh.Mesh, w *World) proposal {
	unread := w.unread(m)
	return proposal{editing{m.Ref, mesh.Edit{Reads: unread}}, setValues(m, readSetting(unread))}
}

// unread is the field because of which a mesh's istiod does not read its selectors: as it is stored when the commands are run, which
// may be another one than that of the mesh that is judged.
func (w *World) unread(m *mesh.Mesh) string {
	if stored := w.base().Mesh(m.Ref); stored != nil && stored.Sources[0].Listing == mesh.Unread {
		return stored.Sources[0].By
	}
	return m.Sources[0].By
}

// selectingOwn replaces all selectors of a mesh by one of its own, which its istiod then reads.
func selectingOwn(m *mesh.Mesh, w *World) (p proposal, ok bool) {
	own, ok := ownSelector(m, w)
	if !ok {
		return proposal{}, false
	}
	unread := ""
	if m.Sources[0].Listing == mesh.Unread {
		unread = w.unread(m)
	}
	return selecting(m, []*metav1.LabelSelector{&own}, unread)
}

// ownSelectors offers a selector of its own to a mesh that is stored: at once if no namespace depends on those that it has, else
// after the labels that keep the namespaces that it injects.
func ownSelectors(label string, m *mesh.Mesh, w *World, is cured) remedy {
	if m.Sources[0].Listing == mesh.Unread && goodOnceRead(m, w) {
		return w.ways(strings.Replace(label, giveSelector, "have istiod read its selectors", 1), reading(m, w), true, is)
	}
	p, ok := selectingOwn(m, w)
	if !ok || !w.affords(w.Fleet, nil) {
		return nil
	}
	if at := w.ways(label, p, ok, is); len(at) > 0 {
		return at
	}
	commands, namespaces := labelsFor(p.edit.Selectors[0], m, w)
	if len(commands) == 0 || !w.mends(p, namespaces, is) {
		return nil
	}
	return remedy{run(label, append(commands, p.commands...)...)}
}

// giveSelector is what such an offer begins with.
const giveSelector = "give it a selector of its own"

// labelsFor are the commands that label the namespaces that a mesh injects for a selector, and all namespaces as they are then; no
// commands if that is not possible for all of them.
func labelsFor(s *metav1.LabelSelector, m *mesh.Mesh, w *World) (commands []string, after []mesh.Namespace) {
	parsed, errs := selector.Parse(s, nil)
	users := existing(w, func(ns *mesh.Namespace) bool { return injects(m.Ref, w.base(), ns) && !parsed.Matches(ns.Labels) })
	if len(errs) > 0 || len(users) == 0 || len(users) > maxNamed {
		return nil, nil
	}
	edits := map[string][]selector.Edit{}
	for _, ns := range users {
		needed, ok := parsed.Edits(ns.Labels)
		if !ok || edited(needed, mesh.NameLabel) || !w.allows(w.base(), ns, needed) {
			return nil, nil
		}
		edits[ns.Name] = needed
	}
	return labelAll(users, func(ns *mesh.Namespace) []selector.Edit { return edits[ns.Name] }), relabelled(w.Namespaces, edits)
}

// relabelled are the namespaces after changes of their labels.
func relabelled(namespaces []mesh.Namespace, edits map[string][]selector.Edit) []mesh.Namespace {
	after := slices.Clone(namespaces)
	for i := range after {
		if changes := edits[after[i].Name]; len(changes) > 0 {
			after[i].Labels = apply(after[i].Labels, changes)
		}
	}
	return after
}

// keepSelectors offers the selectors that a mesh has had, if they were good: then it is the change that is wrong.
func keepSelectors(m *mesh.Mesh, w *World, is cured) remedy {
	stored := w.Before.Mesh(m.Ref)
	if stored == nil || stored == m || stored.SameLists(m) || m.Sources[0].Listing == mesh.Unread {
		return nil
	}
	own := &stored.Sources[0]
	if why, _ := everythingBecause(stored); own.Listing != mesh.Selective || why != "" || !is(w.Before, w.Namespaces) {
		return nil
	}
	const label = "keep the discoverySelectors that it has"
	if p, ok := selecting(m, own.Items(), ""); ok {
		if ways := w.ways(label, p, ok, is); len(ways) > 0 {
			return ways
		}
	}
	return remedy{say("leave its discoverySelectors as they are stored")}
}

// rightBefore is the mesh as it is stored, if a change of it is refused and it was right until now; nil if not. A command that sets what the
// change takes away would change nothing then: the way out is not to take it away.
func (w *World) rightBefore(m *mesh.Mesh, is cured) *mesh.Mesh {
	stored := w.Before.Mesh(m.Ref)
	if stored == nil || w.base() == w.Fleet || !is(w.Before, w.Namespaces) {
		return nil
	}
	return stored
}

// keepBundle keeps the name of the ConfigMap that a mesh has had, if that is what a refused change takes away and ends the finding;
// ok is false if the change is about something else.
func keepBundle(m *mesh.Mesh, w *World, is cured) (ways remedy, ok bool) {
	stored := w.rightBefore(m, is)
	if stored == nil || stored.Sources[0].MountedBundle == m.Sources[0].MountedBundle {
		return nil, false
	}
	name := stored.Sources[0].MountedBundle
	if kept := w.Fleet.Edited(m.Ref, mesh.Edit{TrustBundle: name}, true); kept == nil || !is(kept, w.Namespaces) {
		return nil, true
	}
	return remedy{say(fmt.Sprintf("keep the name of its ConfigMap that is stored, global.trustBundleName: %s", yamlValue(name)))}, true
}

// keepDeclaration is the same for a declared overlap.
func keepDeclaration(m *mesh.Mesh, w *World, is cured) (ways remedy, ok bool) {
	stored := w.rightBefore(m, is)
	if stored == nil || reflect.DeepEqual(stored.Allowed, m.Allowed) {
		return nil, false
	}
	kept := w.Fleet.Edited(m.Ref, mesh.Edit{Allowed: stored.Allowed.Meshes, Until: stored.Allowed.Until}, true)
	if kept == nil || !is(kept, w.Namespaces) {
		return nil, true
	}
	return remedy{say(fmt.Sprintf("keep the declared overlap that is stored, %s: %q", mesh.AllowOverlapAnnotation, strings.Join(stored.Allowed.Meshes, ",")))}, true
}

// keepReading keeps a mesh's istiod reading its selectors.
func keepReading(m *mesh.Mesh, w *World, is cured) remedy {
	stored := w.rightBefore(m, is)
	if stored == nil || m.Sources[0].Listing != mesh.Unread || stored.Sources[0].Listing == mesh.Unread || !goodOnceRead(m, w) {
		return nil
	}
	return remedy{say(fmt.Sprintf("leave %s as it is stored: its istiod reads its discoverySelectors now", cmp.Or(m.Sources[0].By, m.Sources[0].String())))}
}

// overlapWays offers to declare an overlap with other meshes, and to end the fight by another name of the ConfigMap. They are the
// only ways out where an operator owns the other meshes.
func overlapWays(m *mesh.Mesh, others []*mesh.Mesh, w *World, is cured) remedy {
	const (
		declare = "declare the overlap, if they have the same root certificate"
		rename  = "have its istiod write a ConfigMap of its own, which its pods mount once they are restarted"
	)
	bundle := mesh.DefaultTrustBundle + "-" + m.Name
	allowed, nameable := declaring(m, others, w)
	nameable = nameable && !lacksConfig(m)
	if !w.Updating && w.Before.Mesh(m.Ref) == nil {
		var ways remedy
		if nameable && m.Sources[0].Release == "" { // Istio's chart has no value for annotations
			ways = append(ways, run(declare, fmt.Sprintf("annotations: {%s: %q}", mesh.AllowOverlapAnnotation, strings.Join(allowed.Allowed, ","))))
		}
		return append(ways, run(rename, valuesLine(m, fmt.Sprintf("global: {trustBundleName: %s}", yamlValue(bundle)))))
	}
	annotations := []string{mesh.AllowOverlapAnnotation + "=" + strings.Join(allowed.Allowed, ",")}
	if allowed.Until != "" {
		annotations = append(annotations, mesh.AllowOverlapUntilAnnotation+"="+allowed.Until)
	}
	declaring, kept := keepDeclaration(m, w, is)
	if !kept {
		declaring = w.ways(declare, proposal{editing{m.Ref, allowed}, []string{annotateCommand(m, annotations...)}}, nameable, is)
	}
	renaming, kept := keepBundle(m, w, is)
	if !kept {
		p := proposal{editing{m.Ref, mesh.Edit{TrustBundle: bundle}}, setValues(m, bundleSettings(m, bundle)...)}
		renaming = w.ways(rename, p, len(validation.IsDNS1123Subdomain(bundle)) == 0, is)
	}
	return slices.Concat(declaring, renaming)
}

// uninstalling are the commands that uninstall a mesh whose istiods have no mesh configuration: what a refused installation by Helm leaves.
func uninstalling(m *mesh.Mesh) remedy {
	s := &m.Sources[0]
	if !lacksConfig(m) || s.Release == "" {
		return nil
	}
	return remedy{run("or uninstall it, if its installation has failed", uninstall(s.Release, m.ControlPlane))}
}

// lacksConfig reports whether there is no ConfigMap of an istiod that could be annotated.
func lacksConfig(m *mesh.Mesh) bool {
	return m.Kind == mesh.KindIstiod && m.Sources[0].Listing == mesh.Unread && m.Sources[0].By == ""
}

// bundleSettings name the ConfigMap of the root certificate. The chart makes the variable of it, which Helm 4 does not install twice.
func bundleSettings(m *mesh.Mesh, name string) []setting {
	settings := []setting{{"global.trustBundleName", fmt.Sprintf("%q", name)}}
	if own := &m.Sources[0]; m.Kind == mesh.KindIstiod && own.TrustBundle != own.MountedBundle {
		settings = append(settings, setting{"pilot.env.PILOT_CA_CERT_CONFIGMAP", "null"})
	}
	return settings
}

// declaring adds the others to what a mesh declares; ok is false if they are too many for a command. What can be no mesh's name is left out.
func declaring(m *mesh.Mesh, others []*mesh.Mesh, w *World) (edit mesh.Edit, ok bool) {
	names := slices.DeleteFunc(slices.Clone(m.Allowed.Meshes), func(name string) bool { return len(validation.IsDNS1123Subdomain(name)) > 0 })
	for _, other := range others {
		if !slices.Contains(names, other.Name) {
			names = append(names, other.Name)
		}
	}
	edit.Allowed = names
	if !m.Allowed.InForce(w.Now) {
		edit.Until = mesh.Moment(w.Now.Add(extension))
	}
	return edit, len(names) <= maxNamed
}

// maxNarrowed is how many selectors the meshes may have for a command that narrows those of one.
const maxNarrowed = 40

// narrowed are the selectors of a mesh without what others select too; ok is false if nothing is left, or if it takes too much.
func narrowed(m *mesh.Mesh, others []*mesh.Mesh) (list []*metav1.LabelSelector, ok bool) {
	selectors := terms(m)
	for _, other := range others {
		selectors += terms(other)
	}
	if selectors > maxNarrowed {
		return nil, false
	}
	for _, item := range m.Sources[0].Items() {
		if item == nil {
			return nil, false
		}
		item, ok := excludingAll(item.DeepCopy(), others)
		if !ok {
			return nil, false
		}
		if item != nil {
			list = append(list, item)
		}
	}
	return list, len(list) > 0
}

// excludingAll adds requirements until no selector of other meshes overlaps; nil if nothing is left.
func excludingAll(item *metav1.LabelSelector, others []*mesh.Mesh) (*metav1.LabelSelector, bool) {
	had := len(item.MatchExpressions)
	for _, other := range others {
		for i := range other.Sources {
			for _, term := range other.Sources[i].Terms {
				switch left, ok := excludingOne(item, term.Selector); {
				case !ok, left != nil && len(left.MatchExpressions) > had+maxExclusions:
					return nil, false
				case left == nil:
					return nil, true
				}
			}
		}
	}
	parsed, errs := selector.Parse(item, nil)
	if len(errs) > 0 || parsed.Nothing() {
		return nil, len(errs) == 0
	}
	return item, true
}

// excludingOne adds the requirement that keeps a selector apart from another one, if it needs any; nil if the other one takes all that it
// selects.
func excludingOne(item *metav1.LabelSelector, from selector.Selector) (*metav1.LabelSelector, bool) {
	parsed, errs := selector.Parse(item, nil)
	if len(errs) > 0 || !selector.Overlaps(parsed, from) {
		return item, len(errs) == 0
	}
	r, ok := parsed.Exclude(from)
	if !ok {
		return nil, true
	}
	item.MatchExpressions = append(item.MatchExpressions, r)
	return item, len(r.Values) <= maxValues
}
