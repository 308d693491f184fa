package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// entryPath is the field of the mesh map's entry for a mesh.
func entryPath(name string) string { return "data[" + name + "]" }

// binaryPath is the field of an entry that is not text.
func binaryPath(name string) string { return "binaryData[" + name + "]" }

// entry is a mesh map entry as it is written in YAML.
func entry(name, revision string) string { return name + ": " + revision }

// meshesCalled returns the meshes that the mesh map means by a name: the one of that name; else, because the name is looked
// up by the value of a discovery label, those that discover what a discovery label of that value marks. A mesh that
// discovers everything is meant by its own name only.
func meshesCalled(name string, w *World) []*mesh.Mesh {
	var called, asking []*mesh.Mesh
	for _, m := range w.Fleet.Meshes() {
		if m.Name == name {
			called = append(called, m)
		}
		if slices.ContainsFunc(w.DiscoveryLabels, func(key string) bool { return selectsByLabel(m, map[string]string{key: name}) }) {
			asking = append(asking, m)
		}
	}
	if len(called) > 0 {
		return called
	}
	return asking
}

// mapEdits are changes of the mesh map: the entry's revision, or nil to take the entry away.
type mapEdits map[string]*string

// changeMap makes these changes of a map that is stored, or is yet to be created.
func changeMap(label string, m *mesh.Map, w *World, edits mapEdits) remedy {
	if !w.Updating {
		return remedy{run(label, "create it "+mapList(edits))}
	}
	return remedy{run(label, patchMap(m, edits))}
}

// leaveOut does without an entry.
func leaveOut(m *mesh.Map, w *World, name string) remedy {
	if !w.Updating {
		return remedy{say("leave it out")}
	}
	return remedy{run("remove the entry", patchMap(m, mapEdits{name: nil}))}
}

// patchMap is the command that makes these changes. Keys that are in binaryData are taken from there.
func patchMap(m *mesh.Map, edits mapEdits) string {
	patch := map[string]mapEdits{}
	put := func(field, name string, revision *string) {
		if patch[field] == nil {
			patch[field] = mapEdits{}
		}
		patch[field][name] = revision
	}
	for name, revision := range edits {
		binary := slices.Contains(m.Binary, name)
		if binary {
			put("binaryData", name, nil)
		}
		if revision != nil || !binary {
			put("data", name, revision)
		}
	}
	text, _ := json.Marshal(patch) // strings only: it cannot fail
	return mergePatch("configmap "+NameWord(m.Name)+" --namespace "+NameWord(m.Namespace), string(text))
}

// mapList shows the changes as a manifest has them.
func mapList(edits mapEdits) string {
	var with, without, parts []string
	for _, name := range slices.Sorted(maps.Keys(edits)) {
		if revision := edits[name]; revision != nil {
			with = append(with, entry(name, yamlValue(*revision)))
		} else {
			without = append(without, name)
		}
	}
	if len(with) > 0 {
		parts = append(parts, "with data: {"+strings.Join(with, ", ")+"}")
	}
	if len(without) > 0 {
		parts = append(parts, "without "+strings.Join(without, ", "))
	}
	return strings.Join(parts, ", ")
}
