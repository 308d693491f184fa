package webhook

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// emptyCluster has no namespaces and an empty fleet, which is all that a removal reads of it.
type emptyCluster struct{ Cluster }

func (emptyCluster) Namespaces(context.Context, func() []string) ([]mesh.Namespace, error) {
	return nil, nil
}
func (emptyCluster) Fleet() *mesh.Fleet { return mesh.NewFleet(mesh.Objects{}) }

// object is an Istio, or an IstioRevision that an Istio controls if owner is not "".
func object(kind, name, owner string) *sail.ControlPlane {
	cp := &sail.ControlPlane{Kind: kind, Metadata: sail.Meta{Name: name}}
	if owner != "" {
		controls := true
		cp.Metadata.OwnerReferences = []metav1.OwnerReference{{APIVersion: "sailoperator.io/v1", Kind: sail.KindIstio, Name: owner, Controller: &controls}}
	}
	return cp
}

// updating is a cluster in the middle of an update of mesh-1, beside the ownerless IstioRevision canary.
func updating() mesh.Objects {
	istio := object(sail.KindIstio, "mesh-1", "")
	istio.Spec.Version, istio.Spec.UpdateStrategy.Type = "v1.30.0", sail.RevisionBased
	return mesh.Objects{
		Istios: []*sail.ControlPlane{istio, object(sail.KindIstio, "mesh-2", "")},
		Revisions: []*sail.ControlPlane{
			object(sail.KindIstioRevision, "mesh-1-v1-29-0", "mesh-1"), object(sail.KindIstioRevision, "mesh-1-v1-30-0", "mesh-1"),
			object(sail.KindIstioRevision, "canary", ""), object(sail.KindIstioRevision, "lost", "gone"),
		},
	}
}

func TestWhatADeletionLeaves(t *testing.T) {
	type outcome struct{ Old, New []string }
	for _, test := range []struct {
		name            string
		gone            *sail.ControlPlane
		orphaned        bool
		want            outcome
		stillARevision  string
		noLongerOneThen string
	}{
		{
			name: "if an Istio is deleted, then its mesh goes with all its revisions", gone: object(sail.KindIstio, "mesh-1", ""),
			want: outcome{Old: []string{"mesh-1", "mesh-1-v1-29-0", "mesh-1-v1-30-0"}}, noLongerOneThen: "mesh-1-v1-29-0",
		},
		{
			name: "if its revisions are orphaned, then they stay, as meshes of their own", gone: object(sail.KindIstio, "mesh-1", ""), orphaned: true,
			want: outcome{Old: []string{"mesh-1", "mesh-1-v1-29-0", "mesh-1-v1-30-0"}}, stillARevision: "mesh-1-v1-29-0",
		},
		{
			name: "if an IstioRevision of an Istio is deleted, then the mesh stays without it", gone: object(sail.KindIstioRevision, "mesh-1-v1-29-0", "mesh-1"),
			want:           outcome{Old: []string{"mesh-1", "mesh-1-v1-29-0", "mesh-1-v1-30-0"}, New: []string{"mesh-1", "mesh-1-v1-30-0"}},
			stillARevision: "mesh-1-v1-30-0", noLongerOneThen: "mesh-1-v1-29-0",
		},
		{
			name: "if it is the active one, then the operator makes it again", gone: object(sail.KindIstioRevision, "mesh-1-v1-30-0", "mesh-1"),
			want:           outcome{Old: []string{"mesh-1", "mesh-1-v1-29-0", "mesh-1-v1-30-0"}, New: []string{"mesh-1", "mesh-1-v1-29-0"}},
			stillARevision: "mesh-1-v1-30-0",
		},
		{
			name: "if it has the Istio's own name, then only this one goes", gone: object(sail.KindIstioRevision, "mesh-1", "mesh-1"),
			want: outcome{
				Old: []string{"mesh-1", "mesh-1", "mesh-1-v1-29-0", "mesh-1-v1-30-0"}, New: []string{"mesh-1", "mesh-1-v1-29-0", "mesh-1-v1-30-0"},
			},
			stillARevision: "mesh-1-v1-29-0", noLongerOneThen: "mesh-1",
		},
		{
			name: "if an IstioRevision that nobody owns is deleted, then its mesh goes", gone: object(sail.KindIstioRevision, "canary", ""),
			want: outcome{Old: []string{"canary"}}, noLongerOneThen: "canary",
		},
		{
			name: "if its owner is gone already, then it is a mesh that goes", gone: object(sail.KindIstioRevision, "lost", "gone"),
			want: outcome{Old: []string{"lost"}}, noLongerOneThen: "lost",
		},
		{
			name: "if a live read no longer finds it, then it was there before all the same", gone: object(sail.KindIstio, "mesh-3", ""),
			want: outcome{Old: []string{"mesh-3"}}, noLongerOneThen: "mesh-3",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.gone.Kind == sail.KindIstio && test.gone.Metadata.Name == "mesh-1" {
				test.gone.Spec = updating().Istios[0].Spec
			}
			h := &controlPlanes{common: &common{cluster: emptyCluster{}, now: func() time.Time { return time.Unix(7, 0) }}, kind: test.gone.Kind}
			change := h.removal(t.Context(), updating(), test.gone, test.orphaned)
			if diff := cmp.Diff(test.want, outcome{Old: sources(change.Old), New: sources(change.New)}); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
			if !change.Removing || change.Now.Unix() != 7 || change.Before.Mesh(change.Old.Ref) != change.Old || change.Fleet.Mesh(change.Old.Ref) != change.New {
				t.Errorf("%+v", change)
			}
			if r := test.stillARevision; r != "" && change.Fleet.Revision(r) == nil {
				t.Errorf("%q is no revision any more", r)
			}
			if r := test.noLongerOneThen; r != "" && (change.Fleet.Revision(r) != nil || change.Before.Revision(r) == nil) {
				t.Errorf("%q: a revision before: %v, after: %v", r, change.Before.Revision(r) != nil, change.Fleet.Revision(r) != nil)
			}
			if got := len(change.Before.Meshes()) + len(change.Fleet.Meshes()); change.New != nil && got != 8 {
				t.Errorf("%d meshes before and after", got)
			}
		})
	}
}

// sources are the names of the objects that a mesh consists of; nil for none.
func sources(m *mesh.Mesh) []string {
	if m == nil {
		return nil
	}
	names := make([]string, len(m.Sources))
	for i := range m.Sources {
		names[i] = m.Sources[i].Name
	}
	return names
}

func TestOrphansAreAskedForInTheOptions(t *testing.T) {
	for options, want := range map[string]bool{
		"":   false,
		"{}": false,
		`{"kind":"DeleteOptions","apiVersion":"meta.k8s.io/v1","propagationPolicy":"Orphan"}`: true,
		`{"propagationPolicy":"Background"}`:                                                  false,
		`{"propagationPolicy":"Foreground"}`:                                                  false,
		`{"orphanDependents":true}`:                                                           true,
		`{"orphanDependents":false}`:                                                          false,
		`{"propagationPolicy":5}`:                                                             false,
		`[`:                                                                                   false,
	} {
		req := &admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{Options: runtime.RawExtension{Raw: []byte(options)}}}
		if got := orphans(req); got != want {
			t.Errorf("%s: %v", options, got)
		}
	}
}
