package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// FillAnswer says what is to be done to a namespace. The zero value is invalid.
type FillAnswer int

// What is to be done to a namespace.
const (
	// LeaveAlone: nothing.
	LeaveAlone FillAnswer = iota + 1
	// Add: istio.io/rev is missing and is added.
	Add
	// Replace: istio.io/rev was filled in earlier, and gets another value.
	Replace
	// Remove: istio.io/rev was filled in earlier, and is removed, together with the annotation that remembers it.
	Remove
)

// FillChange is a CREATE (Old is nil) or UPDATE of a namespace, before it is validated.
type FillChange struct {
	Old, New *mesh.Namespace
	// Before and After tell where the istio.io/rev of Old and of New comes from.
	Before, After Origin
	// OptedOut says that the namespace carries meshfence.io/fill: "false".
	OptedOut bool
	// Rewritten says that New was written whole, from a file that knows nothing of the stored one.
	Rewritten bool
	Fleet     *mesh.Fleet
}

// Origin is what is known of where a namespace's istio.io/rev comes from.
type Origin struct {
	// Filled is the annotation meshfence.io/filled-revision, "" if there is none.
	Filled string
	Owner  Owner
}

// Owner says who owns a namespace's istio.io/rev, by metadata.managedFields.
type Owner int

// Owners of istio.io/rev. A label that a mutating webhook wrote has none, and gets none as long as requests carry it along
// with the value that it has (test/facts pins both).
const (
	// UnknownOwner: the namespace has no managedFields, or they cannot be read.
	UnknownOwner Owner = iota
	// NoOwner: no field manager owns it.
	NoOwner
	// CopyingOwner: all that own it own the annotation meshfence.io/filled-revision too, and have not applied them on the server's
	// side: what wrote them copied a namespace, as a restore from a backup does.
	CopyingOwner
	// SomeOwner: a field manager has written it.
	SomeOwner
)

// Fill is what is filled in and what the user is told.
type Fill struct {
	Answer FillAnswer
	// Revision is the value that istio.io/rev gets, "" unless the answer is Add or Replace.
	Revision string
	// Warnings are lines for the user, none if there is nothing to say.
	Warnings []string
}

// Fill decides whether istio.io/rev is filled in, and what becomes of one that was filled in earlier. That one is no reason to
// refuse a request: it follows the namespace to another mesh, leaves with the labels for which it was filled in, and yields to
// labels that choose something else. An exempt namespace must not be asked about.
func (p *Policy) Fill(c FillChange) Fill {
	_, present := c.New.Labels[mesh.RevisionLabel]
	switch {
	case c.New.Deleting:
		return leaveAlone()
	case p.ours(c) && present:
		return p.revise(c)
	case p.ours(c):
		return p.restore(c)
	case present:
		return leaveAlone()
	default:
		return p.add(c)
	}
}

func leaveAlone(warnings ...string) Fill { return Fill{Answer: LeaveAlone, Warnings: warnings} }

// ours reports whether the namespace had an istio.io/rev that meshfence filled in, and the request does not write it.
func (p *Policy) ours(c FillChange) bool {
	if c.Old == nil {
		return false
	}
	had, present := c.Old.Labels[mesh.RevisionLabel]
	if !present || c.Before.Owner == SomeOwner || writes(c, had) {
		return false
	}
	return had != "" && had == c.Before.Filled || c.Before.Owner == NoOwner && p.mayHaveFilled(had, c.Old.Labels, c.Fleet)
}

// writes reports whether the request gives istio.io/rev another value than it had, or claims the one that it had. To
// remove it is not to write it.
func writes(c FillChange, had string) bool {
	revision, present := c.New.Labels[mesh.RevisionLabel]
	return present && (revision != had || c.After.Owner == SomeOwner)
}

// mayHaveFilled reports whether the value is one that is or was filled in for the labels: the mesh map's entry for one of
// them, a revision or tag of a mesh that asks for them, or one that was of such a mesh, which has gone since or has turned remote.
func (p *Policy) mayHaveFilled(revision string, labels map[string]string, fleet *mesh.Fleet) bool {
	if len(p.settings.FillFrom) == 0 {
		return false
	}
	labels = withoutRevision(labels)
	mapped := func(key string) bool {
		value, present := labels[key]
		entry, ok := fleet.Mapped(value)
		return present && ok && entry == revision
	}
	return slices.Contains(p.settings.FillFrom, MeshMap) && slices.ContainsFunc(p.settings.DiscoveryLabels, mapped) ||
		askedForBy(revision, labels, fleet) || !servesHere(revision, fleet) && (p.target(labels, fleet).mesh != "" || labelled(labels))
}

// servesHere reports whether a revision or tag is of a mesh that discovers namespaces of this cluster. What was filled in is no more
// once its mesh is deleted, one of its tags, or an older revision after the next updates; or it is left to a mesh that has turned remote.
func servesHere(revision string, fleet *mesh.Fleet) bool {
	return slices.ContainsFunc(owners(fleet.Revision(revision)), func(m *mesh.Mesh) bool { return !m.Remote() })
}

// labelled reports whether a namespace has any label for which something may have been filled in: which ones a mesh that has gone
// asked for is not known.
func labelled(labels map[string]string) bool {
	for key := range labels {
		if key != mesh.NameLabel {
			return true
		}
	}
	return false
}

// askedForBy reports whether a mesh that has the revision, or whose tag it is, asks for the labels.
func askedForBy(revision string, labels map[string]string, fleet *mesh.Fleet) bool {
	r := fleet.Revision(revision)
	return slices.ContainsFunc(fleet.DiscoveredBy(labels), func(m *mesh.Mesh) bool { return belongs(r, m) && selectsByLabel(m, labels) })
}

// add fills in a missing istio.io/rev.
func (p *Policy) add(c FillChange) Fill {
	if p.barred(c) != "" || !p.gainsMeshLabel(c) {
		return leaveAlone()
	}
	to := p.target(c.New.Labels, c.Fleet)
	if to.mesh == "" || p.withheld(to, c.Fleet) != "" {
		return leaveAlone()
	}
	revision, problem := p.value(to, c.Fleet)
	if problem != "" {
		return leaveAlone(p.unlessRefused(c, "", noteLines("meshfence did not fill in istio.io/rev, because "+problem))...)
	}
	if f, wrong := p.wouldBreak(c, revision); wrong {
		return leaveAlone(noteLines(fmt.Sprintf("meshfence did not fill in istio.io/rev=%s for mesh %q, because that would break %s%s",
			revision, to.mesh, f.head(), f.Detail))...)
	}
	if revision == "" || p.refused(c, revision) {
		return leaveAlone()
	}
	return Fill{Answer: Add, Revision: revision, Warnings: filledIn(c, revision, to.why)}
}

// restore decides about an istio.io/rev that was filled in and that the request removes. A person who removes it, with
// kubectl label for example, does not touch the annotation; what replaces the whole namespace removes both, and does not
// mean either. If the annotation was lost before, only that the namespace is written whole tells the two apart.
func (p *Policy) restore(c FillChange) Fill {
	from, to := p.target(withoutRevision(c.Old.Labels), c.Fleet), p.target(c.New.Labels, c.Fleet)
	replaced := c.After.Filled == "" && (c.Before.Filled != "" || c.Rewritten)
	fill := p.add(c)
	if from.mesh == to.mesh {
		fill = p.again(c, to, replaced)
	}
	if fill.Answer != LeaveAlone || len(fill.Warnings) > 0 || !replaced || c.OptedOut {
		return fill
	}
	return leaveAlone(p.unlessRefused(c, "", noteLines(fmt.Sprintf("meshfence does not fill in istio.io/rev=%s again, without which this namespace was replaced, because %s",
		c.Old.Labels[mesh.RevisionLabel], p.notAgain(c, from, to))))...)
}

// again is restore for a namespace that stays in its mesh.
func (p *Policy) again(c FillChange, in target, replaced bool) Fill {
	revision, _ := p.value(in, c.Fleet)
	if revision == "" || p.barred(c) != "" || p.withheld(in, c.Fleet) != "" {
		return leaveAlone()
	}
	had := c.Old.Labels[mesh.RevisionLabel]
	if !replaced {
		return leaveAlone(p.unlessRefused(c, "", noteLines(fmt.Sprintf("meshfence does not fill in istio.io/rev=%s again as long as this namespace stays in mesh %q",
			had, in.mesh), run("to opt out for good", optOut(c.New))))...)
	}
	if _, wrong := p.wouldBreak(c, had); !wrong {
		revision = had // as long as it stays in a mesh, a person decides when a namespace leaves an older revision
	} else if _, wrong := p.wouldBreak(c, revision); wrong {
		return leaveAlone()
	}
	return Fill{Answer: Add, Revision: revision, Warnings: p.unlessRefused(c, revision,
		filledIn(c, revision+" again", "this namespace was replaced without it and "+in.why))}
}

// notAgain says why an istio.io/rev that is gone is not filled in again.
func (p *Policy) notAgain(c FillChange, from, to target) string {
	switch barred, withheld := p.barred(c), p.withheld(to, c.Fleet); {
	case barred != "":
		return "this namespace " + barred
	case to.mesh == "":
		return leaving(from, to)
	case withheld != "":
		return fmt.Sprintf("this namespace is in mesh %q and %s", to.mesh, withheld)
	default:
		return fmt.Sprintf("there is no revision that can be filled in for mesh %q", to.mesh)
	}
}

// leaving says how a namespace comes to be in no mesh for which something is filled in.
func leaving(from, to target) string {
	switch {
	case to.several:
		return "its labels name several meshes"
	case from.mesh != "":
		return fmt.Sprintf("this namespace leaves mesh %q", from.mesh)
	default:
		return "this namespace loses its discovery label"
	}
}

// revise decides about an istio.io/rev that was filled in and that the request leaves as it is. What it comes to is a way in
// which the request is admitted, if there is one.
func (p *Policy) revise(c FillChange) Fill {
	had := c.New.Labels[mesh.RevisionLabel]
	preferred := p.follow(c)
	revision := preferred.Revision
	if preferred.Answer == LeaveAlone {
		revision = had
	}
	if p.change(c, revision).Answer == Allowed {
		return preferred
	}
	kept := p.change(c, had)
	if kept.Answer == Allowed {
		return leaveAlone()
	}
	if f := kept.Denials[0]; p.change(c, "").Answer == Allowed {
		return p.remove(c, fmt.Sprintf("with it this change would break %s%s", f.head(), f.Detail))
	}
	preferred.Warnings = p.unlessRefused(c, revision, preferred.Warnings)
	return preferred
}

// follow decides what should become of an istio.io/rev that was filled in.
func (p *Policy) follow(c FillChange) Fill {
	if label := firstOf(c.New.Labels, mesh.InjectionLabel, mesh.DataplaneModeLabel); label != "" {
		return p.remove(c, "this namespace has "+label)
	}
	had, labels := c.New.Labels[mesh.RevisionLabel], withoutRevision(c.New.Labels)
	from, to := p.target(withoutRevision(c.Old.Labels), c.Fleet), p.target(labels, c.Fleet)
	switch {
	case to.mesh != "" && to.mesh == from.mesh:
		return leaveAlone() // within one mesh a person decides when a namespace leaves an older revision
	case to.mesh != "":
		return p.followToMesh(c, to)
	case askedForBy(had, labels, c.Fleet), !from.known() && !p.loses(c):
		return leaveAlone()
	default:
		return p.remove(c, leaving(from, to))
	}
}

// followToMesh gives an istio.io/rev that was filled in the value for another mesh, and removes it if there is none.
func (p *Policy) followToMesh(c FillChange, to target) Fill {
	because := func(why string) Fill {
		return p.remove(c, fmt.Sprintf("this namespace moves to mesh %q and %s", to.mesh, why))
	}
	for _, why := range []string{p.barred(c), p.withheld(to, c.Fleet)} {
		if why != "" {
			return because(why)
		}
	}
	revision, problem := p.value(to, c.Fleet)
	switch f, wrong := p.wouldBreak(c, revision); {
	case problem != "":
		return because(problem)
	case revision == "":
		return because("fillFrom has no revision for it")
	case wrong:
		return because(fmt.Sprintf("istio.io/rev=%s would break %s%s", revision, f.head(), f.Detail))
	case revision == c.New.Labels[mesh.RevisionLabel]:
		return leaveAlone()
	}
	return Fill{Answer: Replace, Revision: revision, Warnings: filledIn(c, revision+" in place of "+c.New.Labels[mesh.RevisionLabel], to.why)}
}

func (p *Policy) remove(c FillChange, why string) Fill {
	return Fill{Answer: Remove, Warnings: noteLines(fmt.Sprintf("meshfence removed istio.io/rev=%s, which it had filled in, because %s",
		c.New.Labels[mesh.RevisionLabel], why))}
}

// filledIn tells what was filled in, why, and how to opt out.
func filledIn(c FillChange, what, why string) []string {
	return noteLines(fmt.Sprintf("meshfence filled in istio.io/rev=%s, because %s", what, why),
		run("to opt out", optOut(c.New), labelNamespaces(nameOf(c.New))+" istio.io/rev-"))
}

func optOut(ns *mesh.Namespace) string {
	return fmt.Sprintf("kubectl annotate namespace %s meshfence.io/fill=false", NameWord(nameOf(ns)))
}

// nameOf is the namespace's name in a command; a generated name is not known yet.
func nameOf(ns *mesh.Namespace) string {
	if _, known := ns.Labels[mesh.NameLabel]; !known {
		return unnamed
	}
	return ns.Name
}

// barred says why nothing is filled in for this namespace, whatever its mesh; "" if something may be. By the labels a
// person or another product has chosen something else.
func (p *Policy) barred(c FillChange) string {
	switch {
	case c.OptedOut:
		return `carries meshfence.io/fill: "false"`
	case p.setAside(c.New.Name, c.Fleet):
		return "is a control-plane namespace"
	case mesh.NeverInjected(c.New.Labels[mesh.NameLabel]):
		return "is one of the system's, whose pods are never injected"
	}
	if label := firstOf(c.New.Labels, mesh.InjectionLabel, mesh.DataplaneModeLabel, mesh.MaistraMemberLabel); label != "" {
		return "has " + label
	}
	return ""
}

// setAside reports whether the namespace is a control plane's: pods there are not to be injected.
func (p *Policy) setAside(name string, fleet *mesh.Fleet) bool {
	return fleet.ControlPlaneOf(name) != nil || p.settings.ControlPlane(name)
}

// firstOf is the first of some labels that is there, as key=value; "" if none is.
func firstOf(labels map[string]string, keys ...string) string {
	for _, key := range keys {
		if value, present := labels[key]; present {
			return key + "=" + value
		}
	}
	return ""
}

// gainsMeshLabel reports whether a label that decides membership appears or changes: a label that a person removed must not come
// back with an unrelated change.
func (p *Policy) gainsMeshLabel(c FillChange) bool {
	if c.Old == nil {
		return true
	}
	appears := func(key string) bool {
		_, present := c.New.Labels[key]
		return present && !same(c.Old.Labels, c.New.Labels, key)
	}
	return slices.ContainsFunc(p.settings.DiscoveryLabels, appears) || slices.ContainsFunc(c.Fleet.SelectorKeys(), appears)
}

// loses reports whether a discovery label is not there any more with the value that it had.
func (p *Policy) loses(c FillChange) bool {
	return slices.ContainsFunc(p.settings.DiscoveryLabels, func(key string) bool {
		_, present := c.Old.Labels[key]
		return present && !same(c.Old.Labels, c.New.Labels, key)
	})
}

// wouldBreak reports whether the revision would break a rule that the namespace does not break without it. No request should
// be refused for a label that meshfence wrote.
func (p *Policy) wouldBreak(c FillChange, revision string) (Finding, bool) {
	without := withRevision(c.New, "")
	if verdict := p.enforced(c, without, withRevision(c.New, revision)); verdict.Answer == Denied {
		return verdict.Denials[0], true
	}
	return Finding{}, false
}

// change judges the request with the revision, "" for none.
func (p *Policy) change(c FillChange, revision string) Verdict {
	return p.enforced(c, c.Old, withRevision(c.New, revision))
}

// enforced judges a change as it is judged if mode is enforce, so that a first day in mode warn shows what comes after it.
func (p *Policy) enforced(c FillChange, old, updated *mesh.Namespace) Verdict {
	w := p.world(c.Fleet, c.Fleet, nil, time.Time{}, false)
	w.Rights, w.silent = p.supposed(c), true
	return judge(namespaceRules, old, updated, w, Actions{Rules: p.settings.Actions.Rules})
}

// refused reports whether the namespace is going to be refused with the revision, "" for none.
func (p *Policy) refused(c FillChange, revision string) bool {
	change := NamespaceChange{Old: c.Old, New: withRevision(c.New, revision), Fleet: c.Fleet, Rights: p.supposed(c)}
	return p.Namespace(change).Answer == Denied
}

// unlessRefused returns the warnings, or none if nothing is going to be stored that they could be about.
func (p *Policy) unlessRefused(c FillChange, revision string, warnings []string) []string {
	if len(warnings) > 0 && p.refused(c, revision) {
		return nil
	}
	return warnings
}

// supposed are rights to use every mesh. The user's are not asked for when something is filled in; whether the namespace may
// join is judged when the result is validated, and a right that is missing here would be taken for a refusal.
func (p *Policy) supposed(c FillChange) map[mesh.Ref]Right {
	if !p.judges("MF210") {
		return nil
	}
	rights := map[mesh.Ref]Right{}
	for _, m := range c.Fleet.Meshes() {
		rights[m.Ref] = Granted
	}
	return rights
}

// withRevision is the namespace with the revision, "" for none.
func withRevision(ns *mesh.Namespace, revision string) *mesh.Namespace {
	after := *ns
	if revision == "" {
		after.Labels = withoutRevision(ns.Labels)
	} else {
		after.Labels = apply(ns.Labels, []selector.Edit{set(mesh.RevisionLabel, revision)})
	}
	return &after
}

// withoutRevision are the labels without istio.io/rev; the argument is not written.
func withoutRevision(labels map[string]string) map[string]string {
	if _, present := labels[mesh.RevisionLabel]; !present {
		return labels
	}
	return apply(labels, []selector.Edit{remove(mesh.RevisionLabel)})
}
