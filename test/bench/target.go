package main

import (
	"context"
	"fmt"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

const (
	// configurationPrefix begins the names of the webhook configurations here. They are not meshfence's own, so that no
	// meshfence keeps their match conditions, which are the manifest's.
	configurationPrefix = "bench-"
	// targetLabel says, on a namespace, the letter of the target that is asked about it.
	targetLabel = "bench.meshfence.io/target"
)

// target is what the API server asks about a namespace, if anything.
type target struct {
	// letter is that of the comparison: a, b, c, d, f, g, h, i, p.
	letter, name string
	// measures are the operations for which the target is there; nil for all.
	measures []operation
	// pid is the process that answers; 0 for none.
	pid int
	// validating and mutating are the configurations; empty for no webhooks.
	validating []admissionregistrationv1.ValidatingWebhook
	mutating   []admissionregistrationv1.MutatingWebhook
}

// noWebhooks is a cluster without webhooks.
func noWebhooks() *target { return &target{letter: "a", name: "no webhooks"} }

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

// oneYesTarget is one of the two webhooks that say yes: the floor of anything that needs one call.
func oneYesTarget(two *target) *target {
	return &target{letter: "g", name: "one webhook that says yes", pid: two.pid, measures: []operation{inject}, validating: two.validating}
}

// neverTarget is the pair that says yes, with a match condition that is merely false: the least that it costs to decide by match
// conditions not to be asked.
func neverTarget(two *target) *target {
	t := &target{letter: "h", name: "webhooks that are never asked", pid: two.pid, measures: []operation{plain}}
	never := []admissionregistrationv1.MatchCondition{{Name: "never", Expression: "false"}}
	for _, hook := range two.validating {
		hook.MatchConditions = never
		t.validating = append(t.validating, hook)
	}
	for _, hook := range two.mutating {
		hook.MatchConditions = never
		t.mutating = append(t.mutating, hook)
	}
	return t
}

// takes reports whether the target is sent an operation: one that it measures, or what makes room for that.
func (t *target) takes(op operation) bool {
	if t.measures == nil || slices.Contains(t.measures, op) {
		return true
	}
	return slices.Contains(t.measures, inject) && (op == join || op == drop || op == leave)
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

// floorTarget asks a process that answers at once, and always the same, under the very conditions under which meshfence is
// asked: the floor of anything that fills in a label.
func floorTarget(cluster *harness.Cluster, server endpoint, pid int) (*target, error) {
	manifests, err := cluster.Manifests()
	if err != nil {
		return nil, err
	}
	return meshfenceTarget("f", "the same calls, answered at once", manifests, server, pid)
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

// share makes the API server ask each target about its own namespaces, those with its letter in targetLabel, and returns when
// it does. So requests about them can be sent in turns, one by one, and nothing is changed in between.
func share(ctx context.Context, cluster *harness.Cluster, targets []*target) error {
	for _, t := range targets {
		mine := metav1.LabelSelectorRequirement{Key: targetLabel, Operator: metav1.LabelSelectorOpIn, Values: []string{t.letter}}
		own := &target{letter: t.letter, name: t.name}
		for _, hook := range t.validating {
			hook.Name = t.hook(hook.Name)
			hook.NamespaceSelector = with(hook.NamespaceSelector, mine)
			own.validating = append(own.validating, hook)
		}
		for _, hook := range t.mutating {
			hook.Name = t.hook(hook.Name)
			hook.NamespaceSelector = with(hook.NamespaceSelector, mine)
			own.mutating = append(own.mutating, hook)
		}
		if err := own.put(ctx, cluster); err != nil {
			return err
		}
	}
	return cluster.WaitWebhooks(ctx)
}

// hook is the name of a webhook among those of other targets.
func (t *target) hook(name string) string { return t.letter + "." + name }

// with returns a selector that also asks for one thing more.
func with(selector *metav1.LabelSelector, more metav1.LabelSelectorRequirement) *metav1.LabelSelector {
	if selector == nil {
		selector = &metav1.LabelSelector{}
	}
	selector = selector.DeepCopy()
	selector.MatchExpressions = append(selector.MatchExpressions, more)
	return selector
}

// use makes the API server ask the target, about everything, and returns when it does.
func (t *target) use(ctx context.Context, cluster *harness.Cluster) error {
	if err := t.put(ctx, cluster); err != nil {
		return err
	}
	return cluster.WaitWebhooks(ctx)
}

// put stores the target's webhook configurations.
func (t *target) put(ctx context.Context, cluster *harness.Cluster) error {
	for _, object := range t.configurations() {
		if err := replace(ctx, cluster.Client, object); err != nil {
			return fmt.Errorf("ask %s: %w", t.name, err)
		}
	}
	return nil
}

// retire makes the API server ask none of the targets any more.
func retire(ctx context.Context, cluster *harness.Cluster, targets []*target) error {
	for _, t := range targets {
		for _, object := range t.configurations() {
			if err := cluster.Client.Delete(ctx, object); client.IgnoreNotFound(err) != nil {
				return err
			}
		}
	}
	return cluster.WaitWebhooks(ctx)
}

func (t *target) configurations() []client.Object {
	name := metav1.ObjectMeta{Name: configurationPrefix + t.letter}
	return []client.Object{
		&admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: name, Webhooks: slices.Clone(t.validating)},
		&admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: name, Webhooks: slices.Clone(t.mutating)},
	}
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
