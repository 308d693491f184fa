package policy

import (
	"errors"
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// invalidSelector finds the selectors of the object itself that do not parse. The CustomResourceDefinition accepts them,
// and istiod reports Ready with them. Its subjects are what is wrong, by content, and count: to reorder the list or repair a part
// of it leaves no new one, and a second item that is wrong is new, even if it is wrong as the first is.
func invalidSelector(m *mesh.Mesh, _ *World) []Finding {
	if m.Kind == mesh.KindIstiod {
		return unreadableText(m)
	}
	return invalidItems(&m.Sources[0])
}

const effectOfInvalid = "a running istiod would keep its old selectors, and at its next start discover every namespace and report Ready"

func invalidItems(own *mesh.Source) []Finding {
	var found []Finding
	times := map[string]int{}
	for _, err := range own.Errors {
		subject := own.Offending(err) + ": " + err.ErrorBody()
		if times[subject]++; times[subject] > 1 {
			subject += fmt.Sprintf(" (%d)", times[subject])
		}
		found = append(found, Finding{
			Field:    err.Field,
			In:       configMapOf(own),
			Detail:   err.ErrorBody(),
			Effect:   effectOfInvalid,
			Ways:     remedy{say("correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values follow the syntax of labels")},
			Subjects: []string{subject},
		})
	}
	return found
}

// unreadableText is the same for istiods that the Sail operator did not install: all their selectors, and texts that do not parse at all, or are gone.
func unreadableText(m *mesh.Mesh) []Finding {
	var found []Finding
	for i := range m.Sources {
		s := &m.Sources[i]
		f := Finding{Field: fieldOfText(s.Unreadable), In: configMapOf(s), Effect: effectOfInvalid, Ways: remedy{say("correct the text: istiod reads YAML, as istio.io/api's MeshConfig has it")}}
		switch {
		case s.Unreadable != nil:
			f.Detail = fmt.Sprintf("the mesh configuration of %s cannot be read: %s", s.Ref, cut(s.Unreadable.Error(), maxSelector))
		case s.Listing == mesh.Unread && s.By == "":
			f.Detail = fmt.Sprintf("%s has no mesh configuration", s.Ref)
		default:
			found = append(found, invalidItems(s)...)
			continue
		}
		f.Subjects = []string{s.String()}
		found = append(found, f)
	}
	return found
}

// fieldOfText is the path of the text of a mesh configuration, with the line at which it does not parse, if that is known.
func fieldOfText(err error) string {
	const field = "data.mesh"
	if at := (interface{ Line() int })(nil); errors.As(err, &at) && at.Line() > 0 {
		return fmt.Sprintf("%s: line %d", field, at.Line())
	}
	return field
}
