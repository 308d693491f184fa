package observed

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// shown is how many objects a message names before it only counts.
const shown = 10

// listed names the first objects and counts the others.
func listed(names []string) string {
	texts := make([]string, 0, shown)
	for _, name := range names[:min(len(names), shown)] {
		texts = append(texts, strconv.Quote(name))
	}
	if len(names) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(texts, ", "), len(names)-shown)
	}
	return strings.Join(texts, ", ")
}

// theMesh is a mesh as a sentence names it.
func theMesh(m *mesh.Mesh) string { return "mesh " + strconv.Quote(m.Name) }

// theMeshes names several, the first ones if there are many.
func theMeshes(meshes []*mesh.Mesh) string {
	if len(meshes) == 1 {
		return theMesh(meshes[0])
	}
	names := make([]string, len(meshes))
	for i, m := range meshes {
		names[i] = m.Name
	}
	return "meshes " + listed(names)
}

// references name the objects of meshes, as subjects of a finding, sorted.
func references(meshes []*mesh.Mesh) []string {
	texts := make([]string, len(meshes))
	for i, m := range meshes {
		texts[i] = m.String()
	}
	slices.Sort(texts)
	return texts
}

// run is a way out by commands, say one that no command can be given for.
func run(label string, commands ...string) policy.Way {
	return policy.Way{Label: label, Commands: commands}
}

func say(text string) policy.Way { return policy.Way{Label: text} }

// restart is the way out where pods have to be made again.
func restart(namespace string) policy.Way {
	return run("restart its pods", "kubectl rollout restart deployment,statefulset,daemonset --namespace "+policy.NameWord(namespace))
}
