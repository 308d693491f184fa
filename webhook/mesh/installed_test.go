package mesh_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// installed is an istiod that the Sail operator did not install; it discovers what has mesh=selected.
func installed(namespace, revision, selected string) *sail.ControlPlane {
	name := namespace + "/istio-" + revision
	if revision == "default" {
		name = namespace + "/istio"
	}
	cp := &sail.ControlPlane{Kind: mesh.KindIstiod, Metadata: sail.Meta{Name: name}, Installed: &sail.Installed{Revision: revision}}
	cp.Spec.Namespace = namespace
	if selected != "" {
		cp.Spec.Values.MeshConfig.DiscoverySelectors = []*metav1.LabelSelector{{MatchLabels: map[string]string{"mesh": selected}}}
	}
	return cp
}

func tagOf(name, namespace, revision string) *sail.Tag {
	return &sail.Tag{Metadata: sail.Meta{Name: name}, Spec: sail.TagSpec{TargetRef: sail.TargetRef{Kind: mesh.KindIstiod, Name: namespace + "/" + revision}}}
}

// meshes are the meshes of a fleet: name, revisions, active revision, and how the selectors of each source are to be read.
func meshes(f *mesh.Fleet) []string {
	var all []string
	for _, m := range f.Meshes() {
		text := fmt.Sprintf("%s %s %s active=%s", m.Kind, m.Name, strings.Join(m.Revisions, ","), m.ActiveRevision)
		for _, s := range m.Sources {
			text += fmt.Sprintf(" %s:%d", s.Name, s.Listing)
		}
		all = append(all, text)
	}
	return all
}

func TestFactIstiodsOfOneNamespaceAreOneMesh(t *testing.T) {
	operated := &sail.ControlPlane{Kind: sail.KindIstio, Metadata: sail.Meta{Name: "mesh-1"}}
	operated.Spec.Namespace = "plane-1"
	for name, test := range map[string]struct {
		objects mesh.Objects
		want    []string
	}{
		"a canary beside the revision that it is to replace": {
			mesh.Objects{Istiods: []*sail.ControlPlane{installed("plane", "b", "x"), installed("plane", "a", "x")}},
			[]string{"Istiod plane a,b active= plane/istio-a:1 plane/istio-b:1"},
		},
		"the default revision is the active one": {
			mesh.Objects{Istiods: []*sail.ControlPlane{installed("plane", "b", "x"), installed("plane", "default", "x")}},
			[]string{"Istiod plane b,default active=default plane/istio-b:1 plane/istio:1"},
		},
		"what discovers everything is looked at first": {
			mesh.Objects{Istiods: []*sail.ControlPlane{installed("plane", "a", "x"), installed("plane", "b", "")}},
			[]string{"Istiod plane a,b active= plane/istio-b:2 plane/istio-a:1"},
		},
		"two namespaces are two meshes": {
			mesh.Objects{Istiods: []*sail.ControlPlane{installed("plane-2", "a", "x"), installed("plane-1", "a", "x")}},
			[]string{"Istiod plane-1 a active=a plane-1/istio-a:1", "Istiod plane-2 a active=a plane-2/istio-a:1"},
		},
		"what an Istio has made without saying so is not counted twice": {
			mesh.Objects{Istios: []*sail.ControlPlane{operated}, Istiods: []*sail.ControlPlane{installed("plane-1", "mesh-1", "x"), installed("plane-2", "mesh-1", "y")}},
			[]string{"Istio mesh-1 mesh-1 active=mesh-1 mesh-1:2", "Istiod plane-2 mesh-1 active=mesh-1 plane-2/istio-mesh-1:1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, meshes(mesh.NewFleet(test.objects))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFactAnIstiodWithoutItsConfigMapDiscoversEverything(t *testing.T) {
	lost := installed("plane", "a", "x")
	lost.Installed.NoConfig = true
	f := mesh.NewFleet(mesh.Objects{Istiods: []*sail.ControlPlane{lost}})
	if by := f.DiscoveredBy(map[string]string{"any": "thing"}); len(by) != 1 || by[0].Sources[0].Listing != mesh.Unread {
		t.Errorf("discovered by %v", by)
	}
	if after := f.Edited(f.Meshes()[0].Ref, mesh.Edit{Selectors: []*metav1.LabelSelector{{MatchLabels: map[string]string{"mesh": "x"}}}}, true); len(after.DiscoveredBy(map[string]string{"any": "thing"})) != 0 {
		t.Error("a ConfigMap with selectors does not help")
	}
}

func TestFactWebhooksAloneInjectAndDiscoverNothing(t *testing.T) {
	away := installed("plane", "a", "")
	away.Installed.NotHere, away.Installed.NoConfig = true, true
	f := mesh.NewFleet(mesh.Objects{Istiods: []*sail.ControlPlane{away}})
	if len(f.DiscoveredBy(map[string]string{"any": "thing"})) != 0 || !f.Meshes()[0].Remote() {
		t.Error("it discovers")
	}
	if len(f.Injecting(map[string]string{"istio.io/rev": "a"})) != 1 {
		t.Error("it does not inject")
	}
}

func TestTagsOfIstiodsLeadToTheirRevision(t *testing.T) {
	f := mesh.NewFleet(mesh.Objects{
		Istiods:    []*sail.ControlPlane{installed("plane-1", "a", "x"), installed("plane-1", "b", "x"), installed("plane-2", "a", "y")},
		IstiodTags: []*sail.Tag{tagOf("prod", "plane-1", "b"), tagOf("both", "plane-1", "a"), tagOf("both", "plane-2", "a"), tagOf("lost", "plane-1", "c"), tagOf("default", "plane-2", "a")},
	})
	for name, want := range map[string]string{"prod": "plane-1", "both": "plane-1 plane-2", "lost": "", "default": "plane-2"} {
		var names []string
		for _, m := range f.Injecting(map[string]string{"istio.io/rev": name}) {
			names = append(names, m.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: injected by %q, want %q", name, got, want)
		}
	}
	if got := f.LeadsTo("prod"); got != "b" {
		t.Errorf("prod leads to %q", got)
	}
	if diff := cmp.Diff([]string{"prod"}, f.Following(f.Named("plane-1"))); diff != "" {
		t.Error(diff)
	}
	if got := f.Injecting(map[string]string{"istio-injection": "enabled"}); len(got) != 1 || got[0].Name != "plane-2" {
		t.Errorf("istio-injection=enabled: %v", got)
	}
}

func TestPathsOfAnIstiodLeadIntoTheText(t *testing.T) {
	wrong := installed("plane", "a", "x")
	wrong.Spec.Values.MeshConfig.DiscoverySelectors = []*metav1.LabelSelector{{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "in", Values: []string{"b"}}}}}
	source := mesh.NewFleet(mesh.Objects{Istiods: []*sail.ControlPlane{wrong}}).Meshes()[0].Sources[0]
	if len(source.Errors) != 1 || source.Errors[0].Field != "data.mesh: discoverySelectors[0].matchExpressions[0].operator" {
		t.Errorf("%v", source.Errors)
	}
	if got := source.Offending(source.Errors[0]); got != `a in ["b"]` {
		t.Errorf("offending %s", got)
	}
}
