package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// WantsPods reports whether the pods of the namespace are worth a look: it moves to other meshes, its pods had a sidecar by the labels so far, and the rules
// want to know whether they still have it. To look costs a request to the API server, so it is done only before an answer that allows. Where the labels
// so far choose no revision that injects, pods with a sidecar are left from an earlier change: the audit finds them (MF904).
func (p *Policy) WantsPods(c NamespaceChange) bool {
	if c.Old == nil || c.New.Deleting || !p.judges("MF207") || len(c.Fleet.Injecting(c.Old.Labels)) == 0 {
		return false
	}
	var room [2][4]*mesh.Mesh
	from, to := c.Fleet.AppendDiscoveredBy(room[0][:0], c.Old.Labels), c.Fleet.AppendDiscoveredBy(room[1][:0], c.New.Labels)
	return !slices.Equal(from, to)
}

// judges reports whether the configuration has a rule judged.
func (p *Policy) judges(code Code) bool {
	for i := range namespaceRules {
		if r := &namespaceRules[i].Rule; r.Code == code {
			return p.settings.Actions.Of(*r) != Off
		}
	}
	return false
}

// movesLiveNamespace finds a namespace that moves to other meshes while its pods have the sidecar of a mesh that will not
// discover it: they keep it until they restart. Unless such pods were seen it only warns: a look that was not
// finished is no reason to refuse.
func movesLiveNamespace(old, updated *mesh.Namespace, w *World) []Finding {
	if old == nil || w.Pods == nil {
		return nil
	}
	discovering := w.discovering(updated)
	if slices.Equal(w.discovering(old), discovering) {
		return nil
	}
	left, revisions := podsLeftBehind(discovering, w)
	f := Finding{
		Field:    "metadata.labels",
		Ways:     remedy{run("restart the pods once its labels are right", "kubectl rollout restart deployment,statefulset,daemonset --namespace "+NameWord(updated.Name))},
		Subjects: revisions,
	}
	where := "it moves to " + theMeshes(discovering)
	if len(discovering) == 0 {
		where = "it leaves " + theMeshes(w.discovering(old))
	}
	switch {
	case left > 0:
		f.Detail = fmt.Sprintf("%s, but %s %s %s", where, seen(left, w.Pods), haveSidecars(left), strings.Join(revisions, " and "))
		f.Effect = "until they are restarted, their istiod sends them nothing about this namespace any more"
	case w.Pods.Stopped != "":
		f.Action = Warn
		f.Detail = fmt.Sprintf("%s, but %s", where, notSeen(w.Pods))
		f.Effect = "some may have the sidecar of another mesh, and keep it until they are restarted"
	default:
		return nil
	}
	return []Finding{f}
}

// podsLeftBehind counts the pods whose revision belongs to meshes none of which discovers the namespace, and names these
// revisions. Pods of a revision that no mesh has (any more) are not another mesh's.
func podsLeftBehind(discovering []*mesh.Mesh, w *World) (pods int, revisions []string) {
	for _, name := range slices.Sorted(maps.Keys(w.Pods.Revisions)) {
		if of := owners(w.Fleet.Revision(name)); len(of) > 0 && !intersect(of, discovering) {
			pods += w.Pods.Revisions[name]
			revisions = append(revisions, fmt.Sprintf("revision %q of %s", name, theMeshes(of)))
		}
	}
	return pods, revisions
}

// seen says how many pods of how many.
func seen(n int, pods *mesh.Pods) string {
	if pods.Stopped != "" {
		return fmt.Sprintf("%d of the %d pods that were looked at (the look stopped %s)", n, pods.Seen, pods.Stopped)
	}
	return fmt.Sprintf("%d of its %d pods", n, pods.Seen)
}

func notSeen(pods *mesh.Pods) string {
	if pods.Seen == 0 {
		return "its pods were not seen (the look stopped " + pods.Stopped + ")"
	}
	return fmt.Sprintf("none of the %d pods that were looked at has the sidecar of another mesh, but there are more (the look stopped %s)", pods.Seen, pods.Stopped)
}

func haveSidecars(n int) string {
	if n == 1 {
		return "has the sidecar of"
	}
	return "have the sidecar of"
}
