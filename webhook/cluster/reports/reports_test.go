package reports

import (
	"testing"

	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What others have put on a report stays, and is no difference; what is ours and not wanted any more goes.
func TestWhatOthersPutOnAReportStays(t *testing.T) {
	wanted := &openreports.ClusterReport{ObjectMeta: metav1.ObjectMeta{Name: "meshfence-mesh-1"}, Source: "meshfence"}
	stored, _, err := compare(wanted, nil)
	if err != nil {
		t.Fatal(err)
	}
	stored.SetLabels(map[string]string{ManagedBy: Manager, "backup": "yes"})
	stored.SetAnnotations(map[string]string{"example.com/note": "x"})
	stored.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: "a", UID: "u"}})
	fresh, same, err := compare(wanted, stored)
	if err != nil || !same || !kept(fresh) {
		t.Errorf("same: %v, %v, %v", same, fresh, err)
	}
	stored.SetAnnotations(map[string]string{"example.com/note": "x", "meshfence.io/results-left-out": "3"})
	fresh, same, err = compare(wanted, stored)
	if _, there := fresh.GetAnnotations()["meshfence.io/results-left-out"]; err != nil || same || there || !kept(fresh) {
		t.Errorf("same: %v, %v, %v", same, fresh, err)
	}
}

func kept(report *unstructured.Unstructured) bool {
	return report.GetLabels()["backup"] == "yes" && report.GetAnnotations()["example.com/note"] == "x" && len(report.GetOwnerReferences()) == 1
}
