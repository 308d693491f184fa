package owner

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
)

var (
	resource = admissionregistrationv1.SchemeGroupVersion.WithResource("validatingwebhookconfigurations")
	yes      = true

	ours     = metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: "meshfence-system", UID: "now"}
	earlier  = metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: "meshfence-system", UID: "before"}
	blocking = metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: "meshfence-system", UID: "now", BlockOwnerDeletion: &yes, Controller: &yes}
	another  = metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: "shop", UID: "shop"}
	node     = metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: "meshfence-system", UID: "node"}
)

// owners are what a configuration has, and what becomes of them.
var owners = []struct {
	name         string
	tracked      bool
	stored, want []metav1.OwnerReference
}{
	{"if there is none, then ours is added", false, nil, []metav1.OwnerReference{ours}},
	{"if it is there, then it stays", false, []metav1.OwnerReference{ours}, []metav1.OwnerReference{ours}},
	{"if it is that of a namespace of before, then it is replaced", false, []metav1.OwnerReference{earlier}, []metav1.OwnerReference{ours}},
	{"if it blocks or controls, then it is replaced", false, []metav1.OwnerReference{blocking}, []metav1.OwnerReference{ours}},
	{"if it is there twice, then one stays", false, []metav1.OwnerReference{earlier, ours}, []metav1.OwnerReference{ours}},
	{"if there are others, then they stay", false, []metav1.OwnerReference{another, earlier, node}, []metav1.OwnerReference{another, ours, node}},
	{"if Argo CD tracks it, then none is added", true, nil, nil},
	{"if Argo CD tracks it, then ours is removed", true, []metav1.OwnerReference{ours}, nil},
	{"if Argo CD tracks it, then those of others stay", true, []metav1.OwnerReference{node, earlier}, []metav1.OwnerReference{node}},
}

func keeper(api dynamic.Interface) *Keeper {
	return New(Options{Namespace: "meshfence-system", Name: "meshfence", Owned: true, Validating: api.Resource(resource), Mutating: api.Resource(resource)})
}

func TestOwners(t *testing.T) {
	k := keeper(fake.NewSimpleDynamicClient(runtime.NewScheme()))
	for _, test := range owners {
		if diff := cmp.Diff(test.want, k.wanted(owned{test.stored, test.tracked}, ours.UID)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	k.options.Owned = false
	if diff := cmp.Diff([]metav1.OwnerReference{node}, k.wanted(owned{owners: []metav1.OwnerReference{earlier, node, ours}}, ours.UID)); diff != "" {
		t.Errorf("if there is to be none (-want +got):\n%s", diff)
	}
}

// stored is a configuration with these owners, of a version of its own.
func stored(tracked bool, owners []metav1.OwnerReference) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "webhooks": []any{map[string]any{"name": "a"}},
	}}
	object.SetName("meshfence")
	object.SetResourceVersion("7")
	object.SetOwnerReferences(owners)
	if tracked {
		object.SetAnnotations(map[string]string{trackedByArgo: "meshfence:admissionregistration.k8s.io/ValidatingWebhookConfiguration:/meshfence"})
	}
	return object
}

func TestOwnersAreWrittenOntoTheVersionThatWasRead(t *testing.T) {
	for _, test := range owners {
		t.Run(test.name, func(t *testing.T) {
			kinds := map[schema.GroupVersionResource]string{resource: "ValidatingWebhookConfigurationList"}
			api := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, stored(test.tracked, test.stored))
			if err := keeper(api).write(t.Context(), api.Resource(resource), ours.UID); err != nil {
				t.Fatal(err)
			}
			written, err := api.Tracker().Get(resource, "", "meshfence")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(stored(test.tracked, test.want).Object, written.(*unstructured.Unstructured).Object); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, action := range api.Actions() {
				patch, isPatch := action.(clienttesting.PatchAction)
				if isPatch && patch.GetPatchType() != types.MergePatchType {
					t.Errorf("a patch of type %s", patch.GetPatchType())
				}
				if isPatch != (len(api.Actions()) == 2 && action.GetVerb() == "patch") {
					t.Errorf("the requests are %v", api.Actions())
				}
			}
			if same := cmp.Equal(test.stored, test.want); same != (len(api.Actions()) == 1) {
				t.Errorf("the requests are %v", api.Actions())
			}
		})
	}
}

// If another client was faster, then the API server refuses the write, and what it wrote is read.
func TestAConflictIsTriedAgain(t *testing.T) {
	kinds := map[schema.GroupVersionResource]string{resource: "ValidatingWebhookConfigurationList"}
	api := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, stored(false, nil))
	conflicts := 0
	api.PrependReactor("patch", resource.Resource, func(clienttesting.Action) (bool, runtime.Object, error) {
		if conflicts++; conflicts > 2 {
			return false, nil, nil
		}
		return true, nil, apierrors.NewConflict(resource.GroupResource(), "meshfence", nil)
	})
	k := keeper(api)
	for _, put := range []error{
		k.uid.Replace([]any{&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "meshfence-system", UID: ours.UID}}}, ""),
		k.configurations[0].seen.Replace([]any{stored(false, nil)}, ""), k.configurations[1].seen.Replace(nil, ""),
	} {
		if put != nil {
			t.Fatal(put)
		}
	}
	if err := k.look(t.Context()); err != nil || conflicts != 3 {
		t.Errorf("after %d tries: %v", conflicts, err)
	}
}

// If the namespace is not known, then nothing is read or written.
func TestWithoutTheNamespaceNothingIsWritten(t *testing.T) {
	api := fake.NewSimpleDynamicClient(runtime.NewScheme())
	k := keeper(api)
	if err := k.configurations[0].seen.Replace([]any{stored(false, []metav1.OwnerReference{earlier})}, ""); err != nil {
		t.Fatal(err)
	}
	if err := k.look(t.Context()); err != nil || len(api.Actions()) > 0 {
		t.Errorf("%v, and the requests %v", err, api.Actions())
	}
}
