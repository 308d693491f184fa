package main

import (
	"context"
	"fmt"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// configurationName is that of both webhook configurations here. It is not meshfence's own, so that no meshfence keeps
// their match conditions: they are the manifest's, widened once by the keys that the meshes use.
const configurationName = "bench"

// target is what the API server asks about a namespace, if anything.
type target struct {
	// letter is that of the comparison: a, b, c, d.
	letter, name string
	// pid is the process that answers; 0 for none.
	pid int
	// validating and mutating are the configurations; empty for no webhooks.
	validating []admissionregistrationv1.ValidatingWebhook
	mutating   []admissionregistrationv1.MutatingWebhook
}

// nobody is a cluster without webhooks.
func nobody() *target { return &target{letter: "a", name: "no webhooks"} }

// yesTarget asks the pair that says yes about every CREATE and UPDATE of a namespace.
func yesTarget(server endpoint, pid int) *target {
	namespaces := []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"namespaces"}},
	}}
	none, fail := admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.Fail
	return &target{letter: "b", name: "webhooks that say yes", pid: pid,
		validating: []admissionregistrationv1.ValidatingWebhook{{
			Name: "validate.bench.meshfence.io", Rules: namespaces, ClientConfig: server.at(yesValidatePath), SideEffects: &none,
			FailurePolicy: &fail, AdmissionReviewVersions: []string{"v1"},
		}},
		mutating: []admissionregistrationv1.MutatingWebhook{{
			Name: "mutate.bench.meshfence.io", Rules: namespaces, ClientConfig: server.at(yesMutatePath), SideEffects: &none,
			FailurePolicy: &fail, AdmissionReviewVersions: []string{"v1"},
		}},
	}
}

// meshfenceTarget asks a meshfence with the webhooks of the manifests, about namespaces and meshes as they say.
func meshfenceTarget(letter, name string, manifests []client.Object, server endpoint, pid int) (*target, error) {
	t := &target{letter: letter, name: name, pid: pid}
	for _, object := range manifests {
		switch object := object.(type) {
		case *admissionregistrationv1.ValidatingWebhookConfiguration:
			for _, hook := range object.Webhooks {
				hook.ClientConfig = server.at(*hook.ClientConfig.Service.Path)
				t.validating = append(t.validating, hook)
			}
		case *admissionregistrationv1.MutatingWebhookConfiguration:
			for _, hook := range object.Webhooks {
				hook.ClientConfig = server.at(*hook.ClientConfig.Service.Path)
				t.mutating = append(t.mutating, hook)
			}
		}
	}
	if len(t.validating) == 0 || len(t.mutating) == 0 {
		return nil, fmt.Errorf("the manifests have %d validating and %d mutating webhooks", len(t.validating), len(t.mutating))
	}
	return t, nil
}

// endpoint is where webhooks are served.
type endpoint struct {
	address   string // host:port
	authority []byte // PEM
}

func (e endpoint) at(path string) admissionregistrationv1.WebhookClientConfig {
	url := "https://" + e.address + path
	return admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: e.authority}
}

// use makes the API server ask this target, and nobody else, and returns when it does.
func (t *target) use(ctx context.Context, cluster *harness.Cluster) error {
	validating := &admissionregistrationv1.ValidatingWebhookConfiguration{Webhooks: slices.Clone(t.validating)}
	mutating := &admissionregistrationv1.MutatingWebhookConfiguration{Webhooks: slices.Clone(t.mutating)}
	for _, object := range []client.Object{validating, mutating} {
		object.SetName(configurationName)
		if err := replace(ctx, cluster.Client, object); err != nil {
			return fmt.Errorf("ask %s: %w", t.name, err)
		}
	}
	return cluster.WaitWebhooks(ctx)
}

// replace stores the object in the place of the one of its name.
func replace(ctx context.Context, c client.Client, object client.Object) error {
	old := object.DeepCopyObject().(client.Object)
	err := c.Get(ctx, client.ObjectKeyFromObject(object), old)
	if apierrors.IsNotFound(err) {
		return c.Create(ctx, object)
	}
	if err != nil {
		return err
	}
	object.SetResourceVersion(old.GetResourceVersion())
	return c.Update(ctx, object)
}
