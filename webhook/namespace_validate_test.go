package webhook_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// crossed are labels of mesh-1's discovery and mesh-2's revision.
const crossed = "istio-discovery=mesh-1,istio.io/rev=mesh-2"

func TestADenialOfANamespaceNamesItsFindingsAndWarnsOfWhatWasThereBefore(t *testing.T) {
	c := twoMeshes(t)
	c.objects = c.objects.With(controlPlane(t, istio("mesh-3", selecting("istio-system-3", "mesh", "mesh-3"))))
	const before, after = "istio-injection=enabled,istio.io/rev=mesh-1,istio-discovery=mesh-1", "istio-injection=enabled,istio.io/rev=mesh-2,istio-discovery=mesh-1,mesh=mesh-3"
	v := policy.New(webhook.Settings(config.Default())).Namespace(policy.NamespaceChange{
		Old: judged("blog", before), New: judged("blog", after), Fleet: mesh.NewFleet(c.objects),
	})
	if len(v.Denials) != 1 || v.Denials[0].Rule.Code != "MF201" || len(v.Warnings) != 2 || v.Warnings[0].Rule.Code != "MF204" || v.Warnings[1].Rule.Code != "MF206" {
		t.Fatalf("%+v", v)
	}
	message := v.Denials[0].Message()
	want := &admissionv1.AdmissionResponse{
		UID: uid,
		Result: &metav1.Status{
			Status: "Failure", Code: 422, Reason: "Invalid", Message: "metadata.labels: " + message,
			Details: &metav1.StatusDetails{
				Name: "blog", Kind: "Namespace", Causes: []metav1.StatusCause{{Type: "FieldValueInvalid", Field: "metadata.labels", Message: message}},
			},
		},
		Warnings:         v.WarningLines(`Namespace "blog"`),
		AuditAnnotations: map[string]string{"decision": "deny", "findings": "MF201,MF204,MF206"},
	}
	if diff := cmp.Diff(want, serve(t, c).ask(t, namespaceRequest("blog", after, before))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestANamespaceIsJudgedByCreateAndByUpdate(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for name, test := range map[string]struct {
		labels, old string
		code        string
	}{
		"no labels":                      {"", "", ""},
		"the right labels":               {"istio-discovery=mesh-1,istio.io/rev=mesh-1", "", ""},
		"the revision of another mesh":   {crossed, "", "MF202"},
		"the revision becomes another's": {crossed, "istio-discovery=mesh-1,istio.io/rev=mesh-1", "MF202"},
	} {
		got := s.ask(t, namespaceRequest("blog", test.labels, test.old))
		if got.Allowed != (test.code == "") || !strings.HasPrefix(cause(got), test.code) || len(got.Warnings) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := s.ask(t, namespaceRequest("blog", crossed+",team=a", crossed)); !got.Allowed || got.AuditAnnotations["decision"] != "allow" || len(got.Warnings) > 0 {
		t.Errorf("an unrelated edit of a namespace that was wrong before: %+v", got)
	}
	past := s.ask(t, namespaceRequest("blog", crossed+",mesh=mesh-1", crossed))
	if !past.Allowed || past.AuditAnnotations["findings"] != "MF202" || !strings.HasPrefix(past.Warnings[0], "MF202 ") {
		t.Errorf("another label of a namespace that was wrong before and stays so: %+v", past)
	}
}

func TestWhileNothingIsSyncedANamespaceIsRefusedForNow(t *testing.T) {
	c := twoMeshes(t)
	c.unsynced = true
	want := refused(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, noMeshes)
	if diff := cmp.Diff(want, serve(t, c).ask(t, good(webhook.PathValidateNamespace))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestANamespaceThatNeedsNoJudgementIsAllowedWhateverItIs(t *testing.T) {
	c := twoMeshes(t)
	c.unsynced = true // not even that matters
	s := serve(t, c)
	for _, path := range []string{webhook.PathValidateNamespace, webhook.PathMutateNamespace} {
		for name, r := range map[string]request{
			"a deletion": {name: "shop", operation: admissionv1.Delete, old: namespace("shop", crossed)},
		} {
			r.path = path
			if diff := cmp.Diff(allowed(), s.ask(t, r)); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", path, name, diff)
			}
		}
	}
	for name, r := range map[string]request{
		"an exempt user":      {name: "shop", object: namespace("shop", crossed), user: "system:serviceaccount:kube-system:namespace-controller"},
		"an exempt namespace": {name: "openshift-ingress", object: namespace("openshift-ingress", crossed), user: "jane"},
		// The request of an object whose name was generated has no name (AdmissionRequest.Name in k8s.io/api/admission/v1).
		"an exempt namespace of a generated name": {object: namespace("openshift-must-gather-x7k2p", crossed), user: "jane"},
	} {
		r.path = webhook.PathValidateNamespace
		if diff := cmp.Diff(allowed(), s.ask(t, r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestOnlyTheNamespacesThatTheConfigurationNamesAreExempt(t *testing.T) {
	s := serve(t, twoMeshes(t), func(c *config.Configuration) { c.ExemptNamespaces = config.Globs{"sandbox-*"} })
	for name, want := range map[string]bool{"sandbox-1": true, "sandbox": false, "kube-flannel": false, "openshift-ingress": false, "shop": false} {
		if got := s.ask(t, namespaceRequest(name, crossed, "")).Allowed; got != want {
			t.Errorf("%q: allowed: %v", name, got)
		}
	}
}

// What a person can choose as a name is judged: of the names like those that are exempt, only OpenShift's are exempt as a
// pattern, because OpenShift refuses them to ordinary users.
func TestByDefaultOnlyNamesThatThePlatformMakesAreExempt(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for name, want := range map[string]bool{
		"kube-system": true, "kube-public": true, "kube-node-lease": true, "openshift": true, "openshift-ingress": true,
		"kube-mine": false, "kube-": false, "kube-system7xk2p": false, "kube-public-2": false, "my-kube-system": false, "openshift7xk2p": false,
		"istio-system": false, "istio-system-1": false, "istio-system-mine": false, "default": false, "meshfence-system": false,
	} {
		if got := s.ask(t, namespaceRequest(name, crossed, "")).Allowed; got != want {
			t.Errorf("%q: allowed: %v", name, got)
		}
	}
}

// Labels can be changed through status and finalize.
func TestANamespacesSubresourcesAreJudgedAsItIs(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, path := range []string{webhook.PathValidateNamespace, webhook.PathMutateNamespace} {
		whole := request{path: path, name: "shop", object: namespace("shop", crossed), old: namespace("shop", "")}
		want := s.ask(t, whole)
		for _, subresource := range []string{"status", "finalize"} {
			part := whole
			part.subresource = subresource
			if diff := cmp.Diff(want, s.ask(t, part)); diff != "" {
				t.Errorf("%s, %s (-namespace +subresource):\n%s", path, subresource, diff)
			}
		}
		if path == webhook.PathValidateNamespace && want.Allowed {
			t.Error("a namespace that one mesh discovers and another injects is allowed")
		}
	}
}

// Its finalizers must get through.
func TestANamespaceThatIsBeingDeletedIsNeverRefused(t *testing.T) {
	s := serve(t, twoMeshes(t))
	object := "{metadata: {name: shop, deletionTimestamp: '2026-08-01T12:00:00Z', labels: {istio-discovery: mesh-1, istio.io/rev: mesh-2}}}"
	for _, path := range []string{webhook.PathValidateNamespace, webhook.PathMutateNamespace} {
		for _, subresource := range []string{"", "status", "finalize"} {
			r := request{path: path, name: "shop", object: object, old: namespace("shop", "istio-discovery=mesh-1"), subresource: subresource}
			if diff := cmp.Diff(allowed(), s.ask(t, r)); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", path, subresource, diff)
			}
		}
	}
}

// The API server puts it there after mutating admission at the latest; nobody can give it another value.
func TestTheNameLabelIsTheNamespacesNameWhateverTheObjectSays(t *testing.T) {
	c := &cluster{objects: mesh.Objects{Istios: []*sail.ControlPlane{
		controlPlane(t, istio("mesh-1", selecting("istio-system-1", "kubernetes.io/metadata.name", "shop"))),
		controlPlane(t, istio("mesh-2", selecting("istio-system-2", "kubernetes.io/metadata.name", "bank"))),
	}}}
	s := serve(t, c)
	for _, labels := range []string{"istio.io/rev=mesh-2", "istio.io/rev=mesh-2,kubernetes.io/metadata.name=bank"} {
		got := s.ask(t, namespaceRequest("shop", labels, ""))
		if got.Allowed || !strings.HasPrefix(cause(got), "MF202 ") {
			t.Errorf("%s: %+v", labels, got)
		}
	}
}

// A namespace that is applied together with its mesh comes before any cache has seen the mesh.
func TestANamespaceIsNotRefusedForAMeshThatOnlyTheCacheHasNotSeen(t *testing.T) {
	c := twoMeshes(t)
	stored := c.objects
	stored.Tags = append(stored.Tags, &sail.Tag{
		Metadata: sail.Meta{Name: "stable"}, Spec: sail.TagSpec{TargetRef: sail.TargetRef{Kind: sail.KindIstio, Name: "mesh-1"}},
	})
	s := serve(t, c)
	r := namespaceRequest("blog", "istio-discovery=mesh-1,istio.io/rev=stable", "")
	if got := s.ask(t, r); got.Allowed {
		t.Fatalf("without the tag: %+v", got)
	}
	c.stored = &stored
	if diff := cmp.Diff(admitted(), s.ask(t, r)); diff != "" {
		t.Errorf("the tag is stored (-want +got):\n%s", diff)
	}
	c.live = func() error { return errors.New("etcd is away") }
	if got := s.ask(t, r); got.Allowed || got.Result.Code != http.StatusUnprocessableEntity {
		t.Errorf("what is stored cannot be read: %+v", got)
	}
}
