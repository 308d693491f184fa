package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// elsewhere ends a refusal.
const elsewhere = "use a cluster without meshes, a new one of kind for example"

// obstacle is something that keeps the sandbox out of a cluster.
type obstacle struct {
	group, version, kind string
	label                string // has a selector; "" for all of the kind
	is                   func(*metav1.PartialObjectMetadata) bool
	why                  string
}

// obstacles are what tells of a mesh, whatever installed it, of another meshfence, and of an operator that would act on the replay's Istios.
func obstacles() []obstacle {
	const (
		mesh      = "belongs to a mesh, whose users would get the sandbox's answers"
		meshfence = "belongs to another meshfence, and both would answer the same requests"
		operator  = "is the Sail operator, which would install an istiod for each Istio of the replay"
		revision  = "istio.io/rev"
		ours      = "app.kubernetes.io/name=meshfence"
		webhooks  = "admissionregistration.k8s.io"
	)
	return []obstacle{
		{group: "sailoperator.io", version: "v1", kind: "Istio", why: mesh},
		{group: "sailoperator.io", version: "v1", kind: "IstioRevision", why: mesh},
		{version: "v1", kind: "ConfigMap", label: revision, why: mesh},
		{group: webhooks, version: "v1", kind: "MutatingWebhookConfiguration", label: revision, why: mesh},
		{group: webhooks, version: "v1", kind: "MutatingWebhookConfiguration", label: ours, why: meshfence},
		{group: webhooks, version: "v1", kind: "ValidatingWebhookConfiguration", label: ours, why: meshfence},
		{group: "apps", version: "v1", kind: "Deployment", is: isOperator, why: operator},
	}
}

// isOperator reports whether a Deployment is that of the Sail operator, as Helm and OLM install it, or of OpenShift Service Mesh 3. Both have the
// name in the label control-plane too (sail-operator/chart/templates/deployment.yaml, bundle/manifests), which stays if one is renamed.
func isOperator(deployment *metav1.PartialObjectMetadata) bool {
	names := []string{"sail-operator", "servicemesh-operator3"}
	return slices.Contains(names, deployment.Name) || slices.Contains(names, deployment.Labels["control-plane"])
}

// noMeshes is an error if the cluster has one of the obstacles.
func (e *existing) noMeshes(ctx context.Context) error {
	for _, o := range obstacles() {
		found, err := e.find(ctx, &o)
		if err != nil {
			return fmt.Errorf("look for each %s: %w", o.kind, err)
		}
		if found != nil {
			if err := leftover(o.kind, found); err != nil {
				return err
			}
			return fmt.Errorf("%s %q %s: %s", o.kind, strings.TrimPrefix(found.Namespace+"/"+found.Name, "/"), o.why, elsewhere)
		}
	}
	return nil
}

// leftover is an error if an object is of another run of the sandbox. It says how to remove what such a run has left.
func leftover(kind string, object *metav1.PartialObjectMetadata) error {
	label, ok := object.Labels[runLabel]
	if !ok {
		return nil
	}
	return fmt.Errorf("%s %q is of another run of the sandbox. If that is still up, end it with Ctrl-C. If it was killed, remove what it left, "+
		"and the definitions last, because all objects of theirs go with them:\n%s", kind, object.Name, strings.Join(removals(runLabel+"="+label), "\n"))
}

// removals are the commands that remove what has a label. What a cluster without the definitions does not know has its own.
func removals(selector string) []string {
	return []string{
		"kubectl delete mutatingwebhookconfigurations,validatingwebhookconfigurations,namespaces,clusterroles,clusterrolebindings -l " + selector,
		"kubectl delete istios.sailoperator.io -l " + selector,
		"kubectl delete customresourcedefinitions -l " + selector,
	}
}

// find returns an object that is the obstacle, nil if there is none.
func (e *existing) find(ctx context.Context, o *obstacle) (*metav1.PartialObjectMetadata, error) {
	objects := &metav1.PartialObjectMetadataList{}
	objects.SetGroupVersionKind(schema.GroupVersionKind{Group: o.group, Version: o.version, Kind: o.kind + "List"})
	options := &client.ListOptions{Raw: &metav1.ListOptions{LabelSelector: o.label}}
	if err := e.cluster.Client.List(ctx, objects, options); ignoreGone(err) != nil {
		return nil, err
	}
	for i := range objects.Items {
		if o.is == nil || o.is(&objects.Items[i]) {
			return &objects.Items[i], nil
		}
	}
	return nil, nil //nolint:nilnil // there is none
}
