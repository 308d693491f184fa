package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// invalidSelector finds the selectors of the object itself that do not parse. The CustomResourceDefinition accepts them,
// and istiod reports Ready with them.
func invalidSelector(m *mesh.Mesh, _ *World) []Finding {
	var found []Finding
	for _, err := range m.Sources[0].Errors {
		found = append(found, Finding{
			Field: err.Field,
			Detail: fmt.Sprintf("%s: %s; a running istiod would keep its old selectors, and at its next start discover "+
				"every namespace while it reports Ready", m.Ref, err.Error()),
			Remedy:   "Correct that item: In and NotIn take values, Exists and DoesNotExist take none, keys and values follow the syntax of labels",
			Subjects: []string{err.ErrorBody()},
		})
	}
	return found
}
