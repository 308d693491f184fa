package harness

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// standIn is what this file stands in for: the Sail operator, and the istiods that it runs. None of them can run here, because there are no
// containers; what they write is known, and written here for an Istio of update strategy InPlace and its tags. Selectors are evaluated by
// the same package of Kubernetes as istiod's.
const standIn = "sail-operator-stand-in"

// Operate does once what the Sail operator and the istiods would have done by now for every Istio of the cluster: IstioRevision, status,
// Deployment, mesh configuration, injector webhooks, and the root certificate in every namespace that is discovered. It removes nothing.
func (c *Cluster) Operate(ctx context.Context) error {
	istios := &unstructured.UnstructuredList{}
	istios.SetGroupVersionKind(sailKind("IstioList"))
	tags := &unstructured.UnstructuredList{}
	tags.SetGroupVersionKind(sailKind("IstioRevisionTagList"))
	if err := c.Client.List(ctx, istios); err != nil {
		return err
	}
	if err := c.Client.List(ctx, tags); err != nil {
		return err
	}
	for i := range istios.Items {
		if err := c.operate(ctx, &istios.Items[i], tags.Items); err != nil {
			return fmt.Errorf("stand in for the operator of Istio %q: %w", istios.Items[i].GetName(), err)
		}
	}
	return nil
}

func sailKind(kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "sailoperator.io", Version: "v1", Kind: kind}
}

// operated is one mesh that is stood in for.
type operated struct {
	*Cluster
	istio               *unstructured.Unstructured
	revision, namespace string
	root                string // PEM
}

func (c *Cluster) operate(ctx context.Context, istio *unstructured.Unstructured, tags []unstructured.Unstructured) error {
	namespace, _, _ := unstructured.NestedString(istio.Object, "spec", "namespace")
	o := &operated{c, istio, istio.GetName(), cmp.Or(namespace, "istio-system"), rootCertificate(istio.GetName())}
	if err := o.revise(ctx); err != nil {
		return err
	}
	if err := o.deploy(ctx); err != nil {
		return err
	}
	if err := o.inject(ctx, "istio-sidecar-injector-"+o.revision+"-"+o.namespace, o.revision, nil); err != nil {
		return err
	}
	for i := range tags {
		kind, _, _ := unstructured.NestedString(tags[i].Object, "spec", "targetRef", "kind")
		name, _, _ := unstructured.NestedString(tags[i].Object, "spec", "targetRef", "name")
		if name != o.revision || kind != "Istio" && kind != "IstioRevision" {
			continue
		}
		if err := o.inject(ctx, "istio-revision-tag-"+tags[i].GetName()+"-"+o.namespace, tags[i].GetName(), &tags[i]); err != nil {
			return err
		}
	}
	return o.distribute(ctx)
}

// revise makes the IstioRevision, and says of both objects that they are ready.
func (o *operated) revise(ctx context.Context) error {
	spec, _, err := unstructured.NestedMap(o.istio.Object, "spec")
	if err != nil {
		return err
	}
	delete(spec, "updateStrategy")
	delete(spec, "profile")
	if err := unstructured.SetNestedField(spec, o.revision, "values", "revision"); err != nil {
		return err
	}
	if err := unstructured.SetNestedField(spec, o.namespace, "values", "global", "istioNamespace"); err != nil {
		return err
	}
	revision := o.object(sailKind("IstioRevision"), "", o.revision, o.istio)
	revision.Object["spec"] = spec
	if err := o.apply(ctx, revision); err != nil {
		return err
	}
	for _, object := range []*unstructured.Unstructured{o.istio, revision} {
		if err := o.ready(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

func (o *operated) ready(ctx context.Context, object *unstructured.Unstructured) error {
	condition := func(kind string) map[string]any {
		return map[string]any{"type": kind, "status": "True", "reason": "Healthy", "lastTransitionTime": "2026-01-01T00:00:00Z"}
	}
	return o.patchStatus(ctx, object, map[string]any{"state": "Healthy", "conditions": []any{condition("Reconciled"), condition("Ready")}})
}

func (o *operated) patchStatus(ctx context.Context, object *unstructured.Unstructured, status map[string]any) error {
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	target := &unstructured.Unstructured{}
	target.SetGroupVersionKind(object.GroupVersionKind())
	target.SetName(object.GetName())
	target.SetNamespace(object.GetNamespace())
	return o.Client.Status().Patch(ctx, target, client.RawPatch(types.MergePatchType, patch))
}

// deploy makes istiod's Deployment and its mesh configuration, if the namespace is there.
func (o *operated) deploy(ctx context.Context) error {
	if err := o.Client.Get(ctx, client.ObjectKey{Name: o.namespace}, &corev1.Namespace{}); err != nil {
		return client.IgnoreNotFound(err)
	}
	config := map[string]any{"rootNamespace": o.namespace, "trustDomain": "cluster.local"}
	if set, found, _ := unstructured.NestedMap(o.istio.Object, "spec", "values", "meshConfig"); found {
		for key, value := range set {
			config[key] = value
		}
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		return err
	}
	mesh := o.object(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, o.namespace, "istio-"+o.revision, nil)
	mesh.Object["data"] = map[string]any{"mesh": string(text), "meshNetworks": "networks: {}"}
	istiod := o.object(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, o.namespace, "istiod-"+o.revision, nil)
	istiod.SetLabels(map[string]string{"app": "istiod", "istio.io/rev": o.revision})
	labels := map[string]any{"app": "istiod", "istio.io/rev": o.revision}
	istiod.Object["spec"] = map[string]any{
		"replicas": int64(1), "selector": map[string]any{"matchLabels": labels},
		"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{"containers": []any{map[string]any{"name": "discovery", "image": "istiod"}}}},
	}
	for _, object := range []*unstructured.Unstructured{mesh, istiod} {
		if err := o.apply(ctx, object); err != nil {
			return err
		}
	}
	return o.patchStatus(ctx, istiod, map[string]any{"replicas": 1, "readyReplicas": 1, "availableReplicas": 1})
}

// inject makes the webhooks of a revision or a tag, with the selectors of istio's chart. Their failurePolicy is Ignore, because no istiod answers here.
func (o *operated) inject(ctx context.Context, name, revision string, tag *unstructured.Unstructured) error {
	requirement := func(key, operator string, values ...any) map[string]any {
		r := map[string]any{"key": key, "operator": operator}
		if len(values) > 0 {
			r["values"] = values
		}
		return r
	}
	webhook := func(prefix string, namespaces, pods []any) map[string]any {
		return map[string]any{
			"name": prefix + ".sidecar-injector.istio.io", "sideEffects": "None", "failurePolicy": "Ignore", "timeoutSeconds": int64(1),
			"admissionReviewVersions": []any{"v1"},
			"clientConfig": map[string]any{
				"service":  map[string]any{"name": "istiod-" + o.revision, "namespace": o.namespace, "path": "/inject", "port": int64(443)},
				"caBundle": base64.StdEncoding.EncodeToString([]byte(o.root)),
			},
			"rules":             []any{map[string]any{"operations": []any{"CREATE"}, "apiGroups": []any{""}, "apiVersions": []any{"v1"}, "resources": []any{"pods"}}},
			"namespaceSelector": map[string]any{"matchExpressions": namespaces}, "objectSelector": map[string]any{"matchExpressions": pods},
		}
	}
	notOff := requirement("sidecar.istio.io/inject", "NotIn", "false")
	none := []any{requirement("istio.io/rev", "DoesNotExist"), requirement("istio-injection", "DoesNotExist")}
	hooks := []any{
		webhook("rev.namespace", []any{requirement("istio.io/rev", "In", revision), requirement("istio-injection", "DoesNotExist")}, []any{notOff}),
		webhook("rev.object", none, []any{notOff, requirement("istio.io/rev", "In", revision)}),
	}
	if revision == "default" {
		hooks = append(hooks,
			webhook("namespace", []any{requirement("istio-injection", "In", "enabled")}, []any{notOff}),
			webhook("object", none, []any{requirement("sidecar.istio.io/inject", "In", "true"), requirement("istio.io/rev", "DoesNotExist")}),
		)
	}
	object := o.object(schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "MutatingWebhookConfiguration"}, "", name, tag)
	if tag != nil {
		object.SetLabels(map[string]string{"istio.io/rev": o.revision, "istio.io/tag": revision})
	}
	object.Object["webhooks"] = hooks
	return o.apply(ctx, object)
}

// distribute writes the root certificate to every namespace that istiod discovers.
func (o *operated) distribute(ctx context.Context) error {
	var discovered []labels.Selector
	list, _, _ := unstructured.NestedSlice(o.istio.Object, "spec", "values", "meshConfig", "discoverySelectors")
	for _, item := range list {
		text, err := json.Marshal(item)
		if err != nil {
			return err
		}
		s := &metav1.LabelSelector{}
		if err := json.Unmarshal(text, s); err != nil {
			return err
		}
		parsed, err := metav1.LabelSelectorAsSelector(s)
		if err != nil {
			return err
		}
		discovered = append(discovered, parsed)
	}
	if len(discovered) == 0 {
		discovered = append(discovered, labels.Everything())
	}
	bundle, _, _ := unstructured.NestedString(o.istio.Object, "spec", "values", "global", "trustBundleName")
	namespaces := &corev1.NamespaceList{}
	if err := o.Client.List(ctx, namespaces); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range namespaces.Items {
		ns := &namespaces.Items[i]
		matches := false
		for _, s := range discovered {
			matches = matches || s.Matches(labels.Set(ns.Labels))
		}
		if !matches || ns.Name == "kube-public" || ns.Name == "kube-node-lease" || ns.DeletionTimestamp != nil {
			continue
		}
		certificate := o.object(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, ns.Name, cmp.Or(bundle, "istio-ca-root-cert"), nil)
		certificate.SetLabels(map[string]string{"istio.io/config": "true"})
		certificate.SetOwnerReferences(nil)
		certificate.Object["data"] = map[string]any{"root-cert.pem": o.root}
		group.Go(func() error { return o.apply(ctx, certificate) })
	}
	return group.Wait()
}

// object begins an object that the operator owns through the given one, or else through the IstioRevision.
func (o *operated) object(kind schema.GroupVersionKind, namespace, name string, owner *unstructured.Unstructured) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetGroupVersionKind(kind)
	object.SetName(name)
	object.SetNamespace(namespace)
	object.SetLabels(map[string]string{"istio.io/rev": o.revision})
	controller := true
	reference := metav1.OwnerReference{APIVersion: "sailoperator.io/v1", Kind: "IstioRevision", Name: o.revision, UID: types.UID("uid-of-" + o.revision), Controller: &controller}
	if owner != nil {
		reference.Kind, reference.Name, reference.UID = owner.GetKind(), owner.GetName(), owner.GetUID()
	}
	object.SetOwnerReferences([]metav1.OwnerReference{reference})
	return object
}

// apply stores an object as a controller does, whatever is there.
func (o *operated) apply(ctx context.Context, object *unstructured.Unstructured) error {
	err := o.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(standIn), client.ForceOwnership)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return err
}

// rootCertificate is the root certificate of a mesh, always the same for its name.
func rootCertificate(mesh string) string {
	seed := sha256.Sum256([]byte(mesh))
	key := ed25519.NewKeyFromSeed(seed[:])
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(seed[:8]), Subject: pkix.Name{Organization: []string{"cluster.local"}}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: begin, NotAfter: begin.AddDate(10, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err) // the template is a constant
	}
	var text bytes.Buffer
	if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
		panic(err)
	}
	return strings.TrimSpace(text.String()) + "\n"
}
