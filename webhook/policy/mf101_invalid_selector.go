package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// invalidSelector finds the selectors of the object itself that do not parse. The CustomResourceDefinition accepts them,
// and istiod reports Ready with them. Its subjects are what is wrong, by content, and count: to reorder the list or repair a part
// of it leaves no new one, and a second item that is wrong is new, even if it is wrong as the first is.
func invalidSelector(m *mesh.Mesh, _ *World) []Finding {
	var found []Finding
	own, times := &m.Sources[0], map[string]int{}
	for _, err := range own.Errors {
		subject := own.Offending(err) + ": " + err.ErrorBody()
		if times[subject]++; times[subject] > 1 {
			subject += fmt.Sprintf(" (%d)", times[subject])
		}
		found = append(found, Finding{
			Field:    err.Field,
			Detail:   err.ErrorBody(),
			Effect:   "a running istiod would keep its old selectors, and at its next start discover every namespace and report Ready",
			Ways:     remedy{say("correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values follow the syntax of labels")},
			Subjects: []string{subject},
		})
	}
	return found
}
