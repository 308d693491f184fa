package audit_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/audit"
)

// A ConfigMap of which meshfence is not asked accepts nothing: users without any right to override could have written it.
func TestWhoseAcceptanceCounts(t *testing.T) {
	owner := []metav1.OwnerReference{{APIVersion: "sailoperator.io/v1", Kind: "IstioRevision", Name: "a"}}
	for name, test := range map[string]struct {
		resource string
		meta     metav1.ObjectMeta
		want     bool
	}{
		"a mesh configuration":      {"configmaps", metav1.ObjectMeta{}, true},
		"the Sail library's":        {"configmaps", metav1.ObjectMeta{Labels: map[string]string{"managed-by": "sail-library"}}, false},
		"Service Mesh 2's":          {"configmaps", metav1.ObjectMeta{Labels: map[string]string{"maistra-version": "2.6.0"}}, false},
		"the Sail operator's":       {"configmaps", metav1.ObjectMeta{OwnerReferences: owner}, false},
		"another object, as it may": {"istiorevisions", metav1.ObjectMeta{OwnerReferences: owner}, true},
	} {
		if got := audit.AcceptanceCounts(test.resource, &test.meta); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
