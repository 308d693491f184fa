package install

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// install is what a ClusterServiceVersion tells the Operator Lifecycle Manager to make (github.com/operator-framework/api,
// pkg/operators/v1alpha1).
type install struct {
	Metadata struct{ Name string }
	Spec     struct {
		Install struct {
			Spec struct {
				ClusterPermissions, Permissions []struct {
					ServiceAccountName string
					Rules              []rbacv1.PolicyRule
				}
				Deployments []struct {
					Name  string
					Label map[string]string
					Spec  appsv1.DeploymentSpec
				}
			}
		}
	}
}

// TestOLM makes what the Operator Lifecycle Manager makes of the bundle, and then installs the webhook configurations as the manual says.
func TestOLM(t *testing.T) {
	w := start(t, nil)
	ca := &serviceCA{client: w.Client}
	w.do("make a service CA", ca.rotate())
	w.kubectl("create", "namespace", "meshfence-system")
	w.bundle()
	defer w.operate(ca)()
	w.rollout("meshfence-system", "meshfence")
	w.replay("olm")
	w.eventually("meshfence judges", w.guarded)
	w.apply(mesh)
	w.eventually("the mesh's label is asked about", w.asksAboutTheMesh)
}

// bundle does OLM's part: the objects beside the ClusterServiceVersion go into the namespace as they are; from the ClusterServiceVersion come service
// accounts, roles with names of OLM's own, and Deployments.
func (w *world) bundle() {
	w.t.Helper()
	files, err := filepath.Glob(w.file("olm/manifests/*.yaml"))
	w.do("find the bundle", err)
	var version *install
	for _, file := range files {
		text, err := os.ReadFile(file)
		w.do("read the bundle", err)
		object := &unstructured.Unstructured{}
		w.do("decode "+file, yaml.Unmarshal(text, &object.Object))
		if object.GetKind() != "ClusterServiceVersion" {
			if object.GetKind() != "ClusterRole" {
				object.SetNamespace("meshfence-system")
			}
			w.do("create what is in "+file, w.Client.Create(w.t.Context(), object))
			continue
		}
		content, err := json.Marshal(object.Object)
		version = &install{}
		w.do("read the ClusterServiceVersion", err)
		w.do("read the ClusterServiceVersion", json.Unmarshal(content, version))
	}
	if version == nil {
		w.t.Fatalf("no ClusterServiceVersion in %q", files)
	}
	for _, object := range version.objects("meshfence-system") {
		w.do("create "+object.GetName(), w.Client.Create(w.t.Context(), object))
	}
}

// objects are what OLM creates in a namespace and for it.
func (v *install) objects(namespace string) []client.Object {
	var all []client.Object
	meta := metav1.ObjectMeta{Namespace: namespace, Name: v.Metadata.Name + "-x7b2k"}
	for _, p := range v.Spec.Install.Spec.Permissions {
		account := &unstructured.Unstructured{}
		account.SetAPIVersion("v1")
		account.SetKind("ServiceAccount")
		account.SetNamespace(namespace)
		account.SetName(p.ServiceAccountName)
		all = append(all, account, &rbacv1.Role{ObjectMeta: meta, Rules: p.Rules}, &rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name}, Subjects: subjects(namespace, p.ServiceAccountName),
		})
	}
	meta.Namespace = ""
	for _, p := range v.Spec.Install.Spec.ClusterPermissions {
		all = append(all, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: p.Rules}, &rbacv1.ClusterRoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name}, Subjects: subjects(namespace, p.ServiceAccountName),
		})
	}
	for _, d := range v.Spec.Install.Spec.Deployments {
		all = append(all, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: d.Name, Labels: d.Label}, Spec: d.Spec})
	}
	return all
}

func subjects(namespace, account string) []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}}
}
