package policy

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// relabel says how to bring a namespace to its judged labels with edits applied. A stored namespace gets a command that
// names every mesh label that differs from what is stored, because the request that carried the others is refused; a new
// one gets the labels to create it with.
func relabel(ns *mesh.Namespace, w *World, edits ...selector.Edit) string {
	wanted := apply(ns.Labels, edits)
	if !w.Updating {
		return "create it " + labelList(wanted, meshKeys(w, edits), edits)
	}
	return labelCommand(ns.Name, wanted, w.changedKeys(wanted, edits))
}

// changedKeys are the keys that such a command names.
func (w *World) changedKeys(wanted map[string]string, edits []selector.Edit) []string {
	return slices.DeleteFunc(meshKeys(w, edits), func(key string) bool { return !edited(edits, key) && same(w.Stored, wanted, key) })
}

// labelCommand sets, or removes, these keys.
func labelCommand(namespace string, wanted map[string]string, keys []string) string {
	return labelNamespaces(namespace) + labelArguments(wanted, keys)
}

// labelArguments are what follows the name in a label command.
func labelArguments(wanted map[string]string, keys []string) string {
	var arguments strings.Builder
	overwrite := ""
	for _, key := range keys {
		if value, ok := wanted[key]; ok {
			arguments.WriteString(" " + ShellWord(key+"="+value))
			overwrite = " --overwrite"
		} else {
			arguments.WriteString(" " + ShellWord(key+"-"))
		}
	}
	return arguments.String() + overwrite
}

// labelList shows the labels of these keys that are wanted, as a manifest has them, and names those that edits take away.
func labelList(wanted map[string]string, keys []string, edits []selector.Edit) string {
	var pairs, without []string
	for _, key := range keys {
		if value, ok := wanted[key]; ok {
			pairs = append(pairs, key+": "+yamlValue(value))
		} else if edited(edits, key) {
			without = append(without, key)
		}
	}
	var parts []string
	if len(pairs) > 0 {
		parts = append(parts, "with labels: {"+strings.Join(pairs, ", ")+"}")
	}
	if len(without) > 0 {
		parts = append(parts, "without "+strings.Join(without, ", "))
	}
	return strings.Join(parts, ", ")
}

// yamlValue quotes the label values that YAML would not read as strings.
func yamlValue(value string) string {
	letter := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
	if strings.ContainsFunc(value, letter) && plainValue(value) &&
		!slices.Contains([]string{"true", "false", "yes", "no", "on", "off", "null", "y", "n"}, strings.ToLower(value)) {
		return value
	}
	return strconv.Quote(value)
}

// meshKeys returns the keys, sorted, that a remedy may have to name: those that are edited, and those that decide about
// membership and are among the namespace's stored labels or the edits' result.
func meshKeys(w *World, edits []selector.Edit) []string {
	keys := slices.Concat(w.Fleet.SelectorKeys(), w.DiscoveryLabels, []string{mesh.RevisionLabel, mesh.InjectionLabel})
	for _, e := range edits {
		keys = append(keys, e.Key)
	}
	slices.Sort(keys)
	return slices.DeleteFunc(slices.Compact(keys), func(key string) bool { return key == mesh.NameLabel })
}

func edited(edits []selector.Edit, key string) bool {
	return slices.ContainsFunc(edits, func(e selector.Edit) bool { return e.Key == key })
}

func same(a, b map[string]string, key string) bool {
	left, inA := a[key]
	right, inB := b[key]
	return inA == inB && left == right
}

// apply returns the labels after the edits; the argument is not written.
func apply(labels map[string]string, edits []selector.Edit) map[string]string {
	after := maps.Clone(labels)
	if after == nil {
		after = map[string]string{}
	}
	for _, e := range edits {
		if e.Remove {
			delete(after, e.Key)
		} else {
			after[e.Key] = e.Value
		}
	}
	return after
}

func set(key, value string) selector.Edit { return selector.Edit{Key: key, Value: value} }
func remove(key string) selector.Edit     { return selector.Edit{Key: key, Remove: true} }
