package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/test/harness/transcript"
)

// digest is that of an image that a release could have.
var digest = "registry.example.com/meshfence@sha256:" + strings.Repeat("0123456789abcdef", 4)

// TestOLM makes what the Operator Lifecycle Manager makes of the bundle, for all namespaces, installs the webhook configurations as the manual says, and
// updates to a later version. See the type olm.
func TestOLM(t *testing.T) {
	w := start(t, nil)
	ca := &serviceCA{client: w.Client}
	w.do("make a service CA", ca.rotate())
	w.kubectl("create", "namespace", "meshfence-system")
	first := w.bundle("v0.1.0", "")
	w.installed(first)
	defer w.operate(ca)()
	w.rollout("meshfence-system", "meshfence")
	w.replay("olm")
	w.eventually("meshfence judges", w.guarded)
	w.eventually("the namespace owns the configurations", w.owned)
	w.apply(mesh)
	w.eventually("the mesh's label is asked about", w.asksAboutTheMesh)

	d := &appsv1.Deployment{}
	w.do("read the Deployment", w.Client.Get(t.Context(), client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"}, d))
	if image := d.Spec.Template.Spec.Containers[0].Image; image != digest || !strings.Contains(first.text, "\n  relatedImages:\n  - image: "+digest+"\n") {
		t.Errorf("the image is %s", image)
	}
	for right, want := range map[string]string{
		"create configmaps -n meshfence-system": "yes", "create configmaps -n default": "no", "update configmaps/meshfence-claims -n default": "no", "create leases -n default": "no",
	} {
		// kubectl says no by its status, too.
		if text, _ := w.try("", append(strings.Fields("auth can-i "+right), "--as="+account)...); !strings.HasSuffix(strings.TrimSpace(text), want) {
			t.Errorf("whether the account may %s: %s", right, text)
		}
	}
	w.permissionsReachEverywhere(first)

	w.configure("mode: warn")
	w.eventually("meshfence only warns", w.warns)
	second := w.bundle("v0.2.0", first.Metadata.Name)
	w.installed(second)
	w.rollout("meshfence-system", "meshfence")
	w.cleanedUp(first, second)
	if text := w.kubectl("-n", "meshfence-system", "get", "configmap", "meshfence-configuration", "-o", "jsonpath={.data}"); !strings.Contains(text, "mode: warn") {
		t.Errorf("the update has changed the configuration: %s", text)
	}
	w.eventually("meshfence only warns after the update", w.warns)
	if err := w.Node.Err(); err != nil && !strings.Contains(err.Error(), `"meshfence-service-ca" not found`) {
		t.Error(err)
	}
}

// olm is a bundle, and what the Operator Lifecycle Manager knows of it. The methods do what its code does, at
// https://github.com/operator-framework/operator-lifecycle-manager/tree/992bb097749e5994eedc5e4882583df952d8a70e/pkg: which objects an InstallPlan has
// (controller/registry/resolver: NewStepResourceFromBundle, RBACForClusterServiceVersion), how each is written, also onto one that is there
// (controller/operators/catalog: ExecutePlan, StepEnsurer), the Deployment (controller/install: deploymentForSpec), and the cluster-wide copies of what the
// ClusterServiceVersion asks for in its namespace (controller/operators/olm: ensureRBACInTargetNamespace, ensureSingletonRBAC).
type olm struct {
	Metadata struct {
		Name        string
		Annotations map[string]string
	}
	Spec struct {
		Replaces     string
		InstallModes []struct {
			Type      string
			Supported bool
		}
		Install struct {
			Spec struct {
				ClusterPermissions, Permissions []permission
				Deployments                     []struct {
					Name  string
					Label map[string]string
					Spec  appsv1.DeploymentSpec
				}
			}
		}
	}

	text    string
	objects []*unstructured.Unstructured
}

// permission is what a ClusterServiceVersion asks for.
type permission struct {
	ServiceAccountName string
	Rules              []rbacv1.PolicyRule
}

// The kinds that OLM installs besides the ClusterServiceVersion (ExecutePlan, and supportedresources.go beside it). With another one it refuses the plan.
var olmKinds = []string{
	"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount", "Service", "ConfigMap", "Secret", "CustomResourceDefinition",
	"PrometheusRule", "ServiceMonitor", "PodDisruptionBudget", "PriorityClass", "VerticalPodAutoscaler", "ConsoleYAMLSample", "ConsoleQuickStart", "ConsoleCLIDownload", "ConsoleLink",
	"ConsolePlugin", "NetworkPolicy",
}

// bundle makes a release's bundle, of a version, as `make bundle` does, and reads it.
func (w *world) bundle(version, replaces string) *olm {
	w.t.Helper()
	dir := w.t.TempDir()
	render := exec.CommandContext(w.t.Context(), "go", "run", "./deploy/render", "-helm", filepath.Join("bin", "tools", "helm"), "-out", dir, "-image", digest)
	render.Dir = w.root
	if out, err := render.CombinedOutput(); err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "manifests", "*.yaml"))
	w.do("find the bundle", err)
	o := &olm{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		w.do("read the bundle", err)
		text := strings.ReplaceAll(string(content), "v0.1.0", version)
		object := &unstructured.Unstructured{}
		w.do("decode "+file, yaml.Unmarshal([]byte(text), &object.Object))
		if object.GetKind() != "ClusterServiceVersion" {
			if !slices.Contains(olmKinds, object.GetKind()) {
				w.t.Errorf("%s: OLM does not install a %s", filepath.Base(file), object.GetKind())
			}
			o.objects = append(o.objects, object)
			continue
		}
		o.text = text
		w.do("read the ClusterServiceVersion", yaml.Unmarshal([]byte(text), o))
	}
	o.Spec.Replaces = replaces // the resolver writes it
	global := slices.ContainsFunc(o.Spec.InstallModes, func(mode struct {
		Type      string
		Supported bool
	}) bool {
		return mode.Type == "AllNamespaces" && mode.Supported
	})
	if o.text == "" || !global {
		w.t.Fatalf("no ClusterServiceVersion for all namespaces in %q", files)
	}
	return o
}

func (o *olm) owner() metav1.OwnerReference {
	no := false
	return metav1.OwnerReference{
		APIVersion: "operators.coreos.com/v1alpha1", Kind: "ClusterServiceVersion", Name: o.Metadata.Name, UID: types.UID("uid-of-" + o.Metadata.Name),
		BlockOwnerDeletion: &no, Controller: &no,
	}
}

func (o *olm) ownerLabels() map[string]string {
	return map[string]string{"olm.owner": o.Metadata.Name, "olm.owner.namespace": "meshfence-system", "olm.owner.kind": "ClusterServiceVersion"}
}

// installed executes the InstallPlan, and then does what OLM does for an operator of all namespaces.
func (w *world) installed(o *olm) {
	w.t.Helper()
	for _, object := range o.objects {
		object = object.DeepCopy()
		switch object.GetKind() {
		case "ClusterRole":
		case "Role", "RoleBinding":
			object.SetNamespace("meshfence-system")
		default: // the others of this bundle
			object.SetNamespace("meshfence-system")
			object.SetOwnerReferences([]metav1.OwnerReference{o.owner()})
		}
		w.ensure(object)
	}
	w.permit(o)
	for _, d := range o.Spec.Install.Spec.Deployments {
		template := d.Spec.Template.DeepCopy()
		annotations := maps.Clone(template.Annotations)
		maps.Copy(annotations, o.Metadata.Annotations)
		maps.Copy(annotations, map[string]string{"olm.operatorGroup": "global", "olm.operatorNamespace": "meshfence-system", "olm.targetNamespaces": ""})
		template.Annotations = annotations
		for i := range template.Spec.Containers {
			c := &template.Spec.Containers[i]
			c.Env = append(c.Env, corev1.EnvVar{Name: "OPERATOR_CONDITION_NAME", Value: o.Metadata.Name})
		}
		labels := maps.Clone(d.Label)
		maps.Copy(labels, o.ownerLabels())
		history := int32(1)
		spec := d.Spec.DeepCopy()
		spec.Template, spec.RevisionHistoryLimit = *template, &history
		w.ensure(&appsv1.Deployment{
			TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "meshfence-system", Name: d.Name, Labels: labels, OwnerReferences: []metav1.OwnerReference{o.owner()},
			},
			Spec: *spec,
		})
	}
}

// permit makes the ServiceAccounts and roles that the ClusterServiceVersion asks for, and for what it asks for in its namespace ClusterRoles too.
func (w *world) permit(o *olm) {
	w.t.Helper()
	name := func(kind string, i int) string { return fmt.Sprintf("%s-%s-%d", o.Metadata.Name, kind, i) } // OLM's ends in a hash of what it is for
	account := func(name string) {
		sa := &corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: metav1.ObjectMeta{
			Namespace: "meshfence-system", Name: name, OwnerReferences: []metav1.OwnerReference{o.owner()},
		}}
		stored := sa.DeepCopy()
		if err := w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(sa), stored); err == nil {
			sa.OwnerReferences = append(stored.OwnerReferences, sa.OwnerReferences...) // they are merged
		}
		w.ensure(sa)
	}
	for i, p := range o.Spec.Install.Spec.ClusterPermissions {
		account(p.ServiceAccountName)
		w.bind(o, "ClusterRole", "", name("cluster", i), p)
	}
	for i, p := range o.Spec.Install.Spec.Permissions {
		account(p.ServiceAccountName)
		w.bind(o, "Role", "meshfence-system", name("own", i), p)
		p.Rules = append(slices.Clone(p.Rules), rbacv1.PolicyRule{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{""}, Resources: []string{"namespaces"}})
		w.bind(o, "ClusterRole", "", name("own", i), p)
	}
}

// bind makes a role and its binding.
func (w *world) bind(o *olm, kind, namespace, name string, p permission) {
	w.t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: o.ownerLabels()}
	if namespace != "" {
		meta.OwnerReferences = []metav1.OwnerReference{o.owner()}
	}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "meshfence-system", Name: p.ServiceAccountName}}
	of := func(kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}
	}
	if kind == "Role" {
		w.ensure(&rbacv1.Role{TypeMeta: of("Role"), ObjectMeta: meta, Rules: p.Rules})
		w.ensure(&rbacv1.RoleBinding{TypeMeta: of("RoleBinding"), ObjectMeta: meta, RoleRef: ref, Subjects: subjects})
		return
	}
	w.ensure(&rbacv1.ClusterRole{TypeMeta: of("ClusterRole"), ObjectMeta: meta, Rules: p.Rules})
	w.ensure(&rbacv1.ClusterRoleBinding{TypeMeta: of("ClusterRoleBinding"), ObjectMeta: meta, RoleRef: ref, Subjects: subjects})
}

// ensure creates an object, or overwrites the one that is there, with all that a person has changed in it.
func (w *world) ensure(object client.Object) {
	w.t.Helper()
	labels := maps.Clone(object.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	labels["olm.managed"] = "true"
	object.SetLabels(labels)
	err := w.Client.Create(w.t.Context(), object)
	if apierrors.IsAlreadyExists(err) {
		stored := &unstructured.Unstructured{}
		stored.SetGroupVersionKind(object.GetObjectKind().GroupVersionKind())
		// The node writes the Deployment's status meanwhile.
		w.eventually("overwrite "+object.GetName(), func() error {
			if err := w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(object), stored); err != nil {
				return err
			}
			object.SetResourceVersion(stored.GetResourceVersion())
			return w.Client.Update(w.t.Context(), object)
		})
		return
	}
	w.do("create "+object.GetName(), err)
}

// cleanedUp does what comes of the deletion of a ClusterServiceVersion that another one has replaced: OLM deletes what has its labels, and the garbage
// collector what it alone owns. Nothing that the other one needs may be among that.
func (w *world) cleanedUp(old, now *olm) {
	w.t.Helper()
	for _, kind := range []string{"clusterroles", "clusterrolebindings"} {
		w.kubectl("delete", kind, "-l", "olm.owner="+old.Metadata.Name)
	}
	text := w.kubectl("get", "deployments,services,serviceaccounts,poddisruptionbudgets,roles,rolebindings,configmaps", "-n", "meshfence-system", "-o", "json")
	list := metav1.PartialObjectMetadataList{}
	w.do("read what is there", json.Unmarshal([]byte(text), &list))
	kept := map[string]bool{}
	for _, object := range list.Items {
		if len(object.OwnerReferences) == 0 || slices.ContainsFunc(object.OwnerReferences, func(owner metav1.OwnerReference) bool { return owner.UID == now.owner().UID }) {
			kept[object.Kind+" "+object.Name] = true
		}
	}
	for _, needed := range []string{
		"Deployment meshfence", "Service meshfence", "ServiceAccount meshfence", "PodDisruptionBudget meshfence", "Role meshfence", "RoleBinding meshfence",
		"ConfigMap meshfence-configuration",
	} {
		if !kept[needed] {
			w.t.Errorf("%s goes with the version before; what stays: %q", needed, slices.Sorted(maps.Keys(kept)))
		}
	}
}

// permissionsReachEverywhere shows why the Role is an object of the bundle: as a permission of the ClusterServiceVersion it would hold for all namespaces.
func (w *world) permissionsReachEverywhere(o *olm) {
	w.t.Helper()
	role := &rbacv1.Role{}
	w.do("read the Role", w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"}, role))
	other := &olm{}
	other.Metadata.Name = "other." + o.Metadata.Name
	other.Spec.Install.Spec.Permissions = []permission{{ServiceAccountName: "other", Rules: role.Rules}}
	w.permit(other)
	w.eventually("the other account may create ConfigMaps everywhere", func() error {
		text, _ := w.try("", "auth", "can-i", "create", "configmaps", "-n", "default", "--as=system:serviceaccount:meshfence-system:other")
		if !strings.Contains(text, "yes") {
			return errors.New(text)
		}
		return nil
	})
}

// configure makes the ConfigMap of the configuration, as the manual says.
func (w *world) configure(setting string) {
	w.t.Helper()
	dir, err := transcript.Dir(w.Cluster)
	w.do("find the folder of the transcripts", err)
	text := "apiVersion: meshfence.io/v1alpha1\nkind: Configuration\n" + setting + "\n"
	w.do("write the configuration", os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(text), 0o600))
	w.replay("olm-configuration")
}

// warns is a condition: what breaks a rule is told and not refused.
func (w *world) warns() error {
	text, err := w.try(fmt.Sprintf(conflicting, "conflicting"), "create", "--dry-run=server", "-f", "-")
	if err != nil || !strings.Contains(text, "Warning: MF204") {
		return fmt.Errorf("a namespace that breaks MF204 is answered with: %s", text)
	}
	return nil
}
