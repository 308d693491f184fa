package observed

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// podGroup is what the pods of one owner have in common that a rule reads.
type podGroup struct {
	namespace string
	// owner is what made them, as kubectl names it: "Deployment shop"; the pod itself if nothing did.
	owner string
	// injected is the revision that has injected them, "" if none has; asked is the one that their labels ask for.
	injected, asked string
}

// addPod counts a pod, and keeps nothing else of it. One that is being deleted, or has ended, is left out.
func (c *Cluster) addPod(raw []byte) error {
	pod, err := decode[struct {
		Metadata meta `json:"metadata"`
	}](raw)
	if err != nil || pod.Metadata.deleting() {
		return err
	}
	m := &pod.Metadata
	group := podGroup{m.Namespace, ownerOf(m), m.Annotations[mesh.PodRevisionAnnotation], m.Labels[mesh.RevisionLabel]}
	if c.pods == nil {
		c.pods = map[podGroup]int{}
	}
	c.pods[group]++
	return nil
}

// templateHash is on the pods of a Deployment; its ReplicaSets are named for it.
const templateHash = "pod-template-hash"

// ownerOf names what made a pod. A ReplicaSet that a Deployment has made is named for it, so that a rollout does not make another owner.
func ownerOf(m *meta) string {
	for _, o := range m.OwnerReferences {
		if o.Controller == nil || !*o.Controller {
			continue
		}
		if hash := m.Labels[templateHash]; o.Kind == "ReplicaSet" && hash != "" && strings.HasSuffix(o.Name, "-"+hash) {
			return "Deployment " + strings.TrimSuffix(o.Name, "-"+hash)
		}
		return o.Kind + " " + o.Name
	}
	return "Pod " + m.Name
}

// podsOf returns the groups of each namespace in the order of reports.
func (v *view) podsOf() map[string][]podGroup {
	byNamespace := map[string][]podGroup{}
	for _, g := range slices.SortedFunc(maps.Keys(v.pods), compareGroups) {
		byNamespace[g.namespace] = append(byNamespace[g.namespace], g)
	}
	return byNamespace
}

func compareGroups(a, b podGroup) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.owner, b.owner), cmp.Compare(a.injected, b.injected), cmp.Compare(a.asked, b.asked))
}

// byName puts groups under the names that they have, which are sorted; those without a name are left out.
func byName(groups []podGroup, nameOf func(podGroup) string) (names []string, named map[string][]podGroup) {
	named = map[string][]podGroup{}
	for _, g := range groups {
		if name := nameOf(g); name != "" {
			named[name] = append(named[name], g)
		}
	}
	return slices.Sorted(maps.Keys(named)), named
}

// elsewhere reports whether meshes with istiods here have a name and none of them discovers the namespace.
func (v *view) elsewhere(meshes []*mesh.Mesh, namespace string) bool {
	return len(meshes) > 0 && !slices.ContainsFunc(meshes, func(m *mesh.Mesh) bool { return m.Remote() || v.discovers(m, namespace) })
}

// counted is how many pods some groups have, and what made them, the first ones by name.
func (v *view) counted(groups []podGroup) (pods int, owners string) {
	var names []string
	for _, g := range groups {
		pods += v.pods[g]
		names = append(names, g.owner)
	}
	names = slices.Compact(names)
	if len(names) > shown {
		return pods, fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
	}
	return pods, strings.Join(names, ", ")
}

// podsText says how many pods.
func podsText(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", n)
}

// restartOwners are the commands that make the pods of these groups again: of what can be restarted; a bare Pod cannot.
func restartOwners(groups []podGroup) []string {
	var commands []string
	for _, g := range groups {
		kind, name, _ := strings.Cut(g.owner, " ")
		switch kind {
		case "Deployment", "StatefulSet", "DaemonSet":
			commands = append(commands, fmt.Sprintf("kubectl rollout restart %s %s --namespace %s", strings.ToLower(kind), policy.NameWord(name), policy.NameWord(g.namespace)))
		case "Pod":
			commands = append(commands, fmt.Sprintf("kubectl delete pod %s --namespace %s", policy.NameWord(name), policy.NameWord(g.namespace)))
		}
	}
	commands = slices.Compact(commands)
	return commands[:min(len(commands), shown)]
}
