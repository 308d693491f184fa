package observed

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// discover is the way to have a mesh discover a namespace: the fewest label changes after which one of its selectors matches.
func (v *view) discover(m *mesh.Mesh, namespace string) policy.Way {
	ns := v.named[namespace]
	if ns == nil {
		return run("make the namespace, with labels that the mesh discovers", "kubectl create namespace "+policy.NameWord(namespace))
	}
	for i := range m.Sources {
		for _, term := range m.Sources[i].Terms {
			edits, ok := term.Selector.Edits(ns.Labels)
			if !ok || len(edits) == 0 {
				continue
			}
			command := "kubectl label namespace " + policy.NameWord(namespace)
			for _, edit := range edits {
				if edit.Remove {
					command += " " + edit.Key + "-"
				} else {
					command += " " + policy.ShellWord(edit.Key+"="+edit.Value)
				}
			}
			return run("have the mesh discover it", command+" --overwrite")
		}
	}
	return say(fmt.Sprintf("add a selector that matches namespace %q to the mesh", namespace))
}
