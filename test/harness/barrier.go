package harness

import (
	"context"
	"fmt"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// deadURL is an address where no process listens: a webhook there refuses what it is asked about, at once.
const deadURL = "https://127.0.0.1:1/"

// WaitWebhooks returns when the API server acts on every change to webhook configurations that was made before the
// call.
//
// The API server learns of them through watches, a little later than they are stored. Each of its two watches
// (validating, mutating) delivers in order, so a further configuration is put behind the changes, and once the API
// server obeys that one it obeys all before it. That configuration refuses one ConfigMap of a name that nothing else
// uses, in dry runs, which shows whether it is obeyed. A probe of meshfence's own webhooks could not tell for one whose
// failures are ignored.
func (c *Cluster) WaitWebhooks(ctx context.Context) error {
	number := c.barriers.Add(1)
	mutating := fmt.Sprintf("harness-mutating-%d", number)
	validating := fmt.Sprintf("harness-validating-%d", number)
	barriers := []client.Object{mutatingBarrier(mutating), validatingBarrier(validating)}
	for _, barrier := range barriers {
		if err := c.Client.Create(ctx, barrier); err != nil {
			return fmt.Errorf("wait for webhook configurations: %w", err)
		}
	}
	for _, name := range []string{mutating, validating} {
		if err := c.waitBarrier(ctx, name); err != nil {
			return err
		}
	}
	for _, barrier := range barriers {
		if err := c.Client.Delete(ctx, barrier); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("wait for webhook configurations: %w", err)
		}
	}
	return nil
}

// waitBarrier polls until the API server asks the webhook in the configuration of that name.
func (c *Cluster) waitBarrier(ctx context.Context, name string) error {
	return c.eventually(ctx, "acts on the webhook configurations", func(ctx context.Context) (bool, error) {
		probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceDefault, Name: name}}
		err := c.Client.Create(ctx, probe, client.DryRunAll)
		if apierrors.IsInternalError(err) && strings.Contains(err.Error(), barrierWebhook(name)) {
			return true, nil
		}
		return false, err
	})
}

// barrierWebhook returns a webhook name, which must be a domain name of three labels or more.
func barrierWebhook(name string) string { return name + ".meshfence.io" }

func mutatingBarrier(name string) *admissionregistrationv1.MutatingWebhookConfiguration {
	url, sideEffects := deadURL, admissionregistrationv1.SideEffectClassNone
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name:                    barrierWebhook(name),
			ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &url},
			Rules:                   barrierRules(),
			MatchConditions:         barrierConditions(name),
			SideEffects:             &sideEffects,
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
}

func validatingBarrier(name string) *admissionregistrationv1.ValidatingWebhookConfiguration {
	url, sideEffects := deadURL, admissionregistrationv1.SideEffectClassNone
	return &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name:                    barrierWebhook(name),
			ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &url},
			Rules:                   barrierRules(),
			MatchConditions:         barrierConditions(name),
			SideEffects:             &sideEffects,
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
}

func barrierRules() []admissionregistrationv1.RuleWithOperations {
	return []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule: admissionregistrationv1.Rule{
			APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"},
		},
	}}
}

func barrierConditions(name string) []admissionregistrationv1.MatchCondition {
	return []admissionregistrationv1.MatchCondition{{Name: "probe", Expression: fmt.Sprintf("request.name == %q", name)}}
}
