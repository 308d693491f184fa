package audit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/webhook/policy"
)

func TestAFindingIsCountedForAMesh(t *testing.T) {
	cluster := guide(t)
	for _, text := range []string{
		"{apiVersion: sailoperator.io/v1, kind: IstioRevisionTag, metadata: {name: prod}, spec: {targetRef: {kind: Istio, name: mesh-2}}}",
		"{apiVersion: sailoperator.io/v1, kind: IstioRevisionTag, metadata: {name: waits}, spec: {targetRef: {kind: Istio, name: mesh-9}}}",
		namespace("nowhere", "team: a"),
	} {
		cluster.Put(object(t, text))
	}
	e := checker().Existing(cluster)
	for _, test := range []struct{ kind, namespace, name, want string }{
		{"Istio", "", "mesh-1", "mesh-1"},
		{"Istio", "", "gone", ""},
		{"IstioRevisionTag", "", "prod", "mesh-2"},
		{"IstioRevisionTag", "", "waits", ""},
		{"IstioRevisionTag", "", "gone", ""},
		{"Namespace", "", "app-1", "mesh-1"},
		{"Namespace", "", "nowhere", ""},
		{"Namespace", "", "gone", ""},
		{"Deployment", "istio-system-mesh-2", "istiod", "mesh-2"},
		{"Gateway", "app-2", "gateway", "mesh-2"},
		{"Gateway", "nowhere", "gateway", ""},
		{"MutatingWebhookConfiguration", "", "istio-revision-tag-old", ""},
	} {
		if got := audit.MeshOf(policy.Offence{Kind: test.kind, Namespace: test.namespace, Name: test.name}, e); got != test.want {
			t.Errorf("%s %s/%s is counted for %q, want %q", test.kind, test.namespace, test.name, got, test.want)
		}
	}
}

func TestNamespacesAreCountedByHowTheyStand(t *testing.T) {
	cluster := guide(t)
	for _, text := range []string{
		namespace("labelled-wrong", "istio-discovery: mesh-1, istio.io/rev: mesh-2"),
		namespace("undiscovered", "istio.io/rev: mesh-2"),
		namespace("waiting", "istio-discovery: mesh-1"),
		namespace("nowhere", "team: a"),
		namespace("kube-system", "istio-discovery: mesh-1, istio.io/rev: mesh-2"), // exempt
		"{apiVersion: v1, kind: Namespace, metadata: {name: going, deletionTimestamp: '2026-01-01T00:00:00Z', labels: {istio-discovery: mesh-1}}}",
	} {
		cluster.Put(object(t, text))
	}
	c := checker()
	e := c.Existing(cluster)
	want := map[audit.Standing]int{
		{Mesh: "mesh-1", State: audit.Injected}: 1, {Mesh: "mesh-2", State: audit.Injected}: 1,
		{Mesh: "mesh-1", State: audit.Discovered}: 2, {Mesh: "mesh-2", State: audit.Discovered}: 1, // the control planes, and one that waits
		{Mesh: "mesh-1", State: audit.Mismatched}: 1, {Mesh: "mesh-2", State: audit.Mismatched}: 1,
		{State: audit.Outside}: 1,
	}
	if diff := cmp.Diff(want, audit.CountNamespaces(e, c.State(cluster).Findings)); diff != "" {
		t.Error(diff)
	}
}

// A mesh that discovers everything beside others, as OpenShift's ingress operator installs one, takes no namespace from the mesh that injects it.
func TestADeclaredOverlapCountsForTheMeshThatInjects(t *testing.T) {
	cluster := guide(t)
	cluster.Put(object(t, "{apiVersion: sailoperator.io/v1, kind: Istio, metadata: {name: all, annotations: {meshfence.io/allow-overlap: 'mesh-1,mesh-2'}}, spec: {version: v1.30.3, namespace: istio-system-all}}"))
	c := checker()
	got := audit.CountNamespaces(c.Existing(cluster), c.State(cluster).Findings)
	for _, mesh := range []string{"mesh-1", "mesh-2"} {
		if got[audit.Standing{Mesh: mesh, State: audit.Injected}] != 1 {
			t.Errorf("%s: %v", mesh, got)
		}
	}
}
