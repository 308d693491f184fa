package policy

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// revisionNotALabel finds a mesh that no namespace can choose: the name of its active revision is too long for the value of
// istio.io/rev, and no tag stands for it. A revision's name may have 253 characters, as an object's name.
func revisionNotALabel(m *mesh.Mesh, w *World) []Finding {
	problems := validation.IsValidLabelValue(m.ActiveRevision)
	if len(problems) == 0 || slices.ContainsFunc(w.Fleet.RevisionNames(), func(name string) bool { return standsFor(name, m, w) }) {
		return nil
	}
	return []Finding{{
		Field:  "metadata.name",
		Detail: fmt.Sprintf("its active revision is called %q, which is not a valid value of the label istio.io/rev (%s)", m.ActiveRevision, problems[0]),
		Effect: "no namespace can choose it, and nothing is filled in",
		Ways:   w.remedied(func() remedy { return remedy{shorterName(m, w)} }),
	}}
}

// standsFor reports whether a name is that of a tag of the mesh that namespaces can choose.
func standsFor(name string, m *mesh.Mesh, w *World) bool {
	r := w.Fleet.Revision(name)
	return r.Tag && belongs(r, m) && isLabelValue(name)
}

// tagName is a name for a tag of the mesh: as much of the mesh's own as a label has room for; "" if that is taken.
func tagName(m *mesh.Mesh, w *World) string {
	name := strings.TrimRight(m.Name[:min(len(m.Name), validation.LabelValueMaxLength)], "-.")
	if !isLabelValue(name) || w.Fleet.Revision(name) != nil {
		return ""
	}
	return name
}

// shorterName offers a tag. It can be made at any time: it waits for what it points at.
func shorterName(m *mesh.Mesh, w *World) Way {
	name := tagName(m, w)
	if name == "" || !w.tagging(w.base(), name, m.Ref) {
		return say(fmt.Sprintf("to give it a name that namespaces can choose, create an IstioRevisionTag with targetRef: {kind: %s, name: %s}", m.Kind, yamlValue(m.Name)))
	}
	return run("give it a name that namespaces can choose", createTag(m, name))
}

// createTag is the command that creates a tag which follows the mesh.
func createTag(m *mesh.Mesh, name string) string {
	text := fmt.Sprintf(`{"apiVersion":"sailoperator.io/v1","kind":"IstioRevisionTag","metadata":{"name":%q},"spec":{"targetRef":{"kind":%q,"name":%q}}}`, name, m.Kind, m.Name)
	return "echo " + ShellWord(text) + " | kubectl apply -f -"
}

// sameActiveRevision reports whether the name that namespaces would have to choose is as it was.
func sameActiveRevision(old, updated *mesh.Mesh, _ *World) bool {
	return old.ActiveRevision == updated.ActiveRevision
}
