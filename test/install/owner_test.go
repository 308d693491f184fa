package install

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestOwner shows that the webhook configurations are deleted with meshfence's namespace, as far as an API server alone can show it: they have the reference
// by which the garbage collector finds out, whatever is done to it. The garbage collector itself is a part of kube-controller-manager, which does not run here.
// The API server asks for rights as OpenShift's does.
func TestOwner(t *testing.T) {
	w := start(t, map[string]string{"enable-admission-plugins": "OwnerReferencesPermissionEnforcement"})
	install := []string{"install", "meshfence", w.chart(), "--namespace", "meshfence-system", "--create-namespace", "--set", "certs.mode=self-signed"}
	upgrade := []string{"upgrade", "meshfence", w.chart(), "--namespace", "meshfence-system", "--reset-then-reuse-values"}
	w.helm(install...)
	w.eventually("the namespace owns the configurations", w.owned)
	w.eventually("meshfence judges", w.guarded)

	w.helm(upgrade...)
	w.do("look at the owners after an upgrade", w.owned())
	w.helm(append(upgrade, "--force-conflicts", "--set", "webhooks.labels.a=b")...)
	w.do("look at the owners after an upgrade by force", w.owned())
	w.helm("rollback", "meshfence", "1", "--namespace", "meshfence-system", "--force-conflicts")
	w.do("look at the owners after going back", w.owned())

	w.replay("emergency-exit")
	w.helm(upgrade...)
	w.eventually("the namespace owns the configurations that were made again", w.owned)

	// Without the right nothing is written; when it comes, the reference does.
	const rule, none = "clusterrole", `[{"op": "remove", "path": "/metadata/ownerReferences"}]`
	last := strings.Count(w.kubectl("get", rule, "meshfence", "-o", "jsonpath={range .rules[*]}x{end}"), "x") - 1
	if verbs := w.kubectl("get", rule, "meshfence", "-o", fmt.Sprintf("jsonpath={.rules[%d].verbs}", last)); verbs != `["delete"]` {
		t.Fatalf("the last rule of the role is for %s", verbs)
	}
	w.kubectl("patch", rule, "meshfence", "--type=json", "-p", fmt.Sprintf(`[{"op": "replace", "path": "/rules/%d/verbs", "value": ["get"]}]`, last))
	w.eventually("the right is gone", func() error {
		text, _ := w.try("", "auth", "can-i", "delete", "validatingwebhookconfigurations/meshfence", "--as="+account)
		if !strings.Contains(text, "no") {
			return errors.New(text)
		}
		return nil
	})
	for _, kind := range []string{"validatingwebhookconfiguration", "mutatingwebhookconfiguration"} {
		w.kubectl("patch", kind, "meshfence", "--type=json", "-p", none)
	}
	w.eventually("the log says that the owner cannot be written, and what to do", func() error {
		if text := w.Node.Logs(); !strings.Contains(text, "cannot have the webhook configurations deleted with the namespace; until it can, delete them before you delete the namespace") ||
			!strings.Contains(text, "cannot set an ownerRef on a resource you can't delete") {
			return errors.New("it does not")
		}
		return w.owners(nil)
	})
	w.kubectl("patch", rule, "meshfence", "--type=json", "-p", fmt.Sprintf(`[{"op": "replace", "path": "/rules/%d/verbs", "value": ["delete"]}]`, last))
	w.eventually("with the right the namespace owns them again", w.owned)

	// What Argo CD tracks has no owner, or Argo CD would never delete it.
	const tracking = "argocd.argoproj.io/tracking-id"
	w.kubectl("annotate", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "meshfence", tracking+"=meshfence:x/y:/meshfence")
	w.eventually("what Argo CD tracks has no owner", func() error { return w.owners(nil) })
	w.kubectl("annotate", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "meshfence", tracking+"-")
	w.eventually("what it tracks no longer has", w.owned)
	w.helm(append(upgrade, "--set", "webhooks.deletedWithNamespace=false")...)
	w.eventually("if there is to be no owner, then there is none", func() error { return w.owners(nil) })
	w.rollout("meshfence-system", "meshfence")
	w.helm(append(upgrade, "--set", "webhooks.deletedWithNamespace=true")...)
	w.rollout("meshfence-system", "meshfence")
	w.eventually("and else there is", w.owned)
	if err := w.Node.Err(); err != nil {
		t.Error(err)
	}

	before := w.reference()
	w.kubectl("delete", "namespace", "meshfence-system")
	w.helm(install...)
	w.eventually("the namespace that was made again owns the configurations", w.owned)
	if now := w.reference(); now.UID == before.UID {
		t.Errorf("it is still the same namespace: %v", now)
	}
}

// reference is the only owner that the configurations should have.
func (w *world) reference() metav1.OwnerReference {
	w.t.Helper()
	own := namespace("meshfence-system")
	w.do("read the namespace", w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(own), own))
	return metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: own.Name, UID: own.UID}
}

// owned is a condition: the namespace, as it is now, is the only owner of both configurations.
func (w *world) owned() error {
	w.t.Helper()
	return w.owners([]metav1.OwnerReference{w.reference()})
}

// owners is a condition: both configurations have these owners, and no finalizers.
func (w *world) owners(want []metav1.OwnerReference) error {
	w.t.Helper()
	for _, object := range []client.Object{judging(), filling()} {
		if err := w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		if diff := cmp.Diff(want, object.GetOwnerReferences()); diff != "" || len(object.GetFinalizers()) > 0 {
			return fmt.Errorf("%T has the finalizers %q and the owners (-want +got):\n%s", object, object.GetFinalizers(), diff)
		}
	}
	return nil
}
