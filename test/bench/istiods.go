package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// installedMeshes is how many istiods there are that the Sail operator did not install, each with a mesh of its own, and unrelatedConfigMaps how many ConfigMaps
	// beside theirs.
	installedMeshes     = 100
	unrelatedConfigMaps = 5000
	// templates is how many bytes the templates of an injector's ConfigMap have, as in Istio's chart.
	templates = 100 << 10
	// writes is how many ConfigMaps are written in a round.
	writes = 300

	// webhooksName is that of both webhook configurations, and istiodWebhook that of the webhook about mesh configurations.
	webhooksName  = "meshfence"
	istiodWebhook = "istiod.validate.meshfence.io"
)

// compareIstiods measures what istiods cost that the Sail operator did not install: memory, and the writes of all other ConfigMaps.
func (b *bench) compareIstiods(ctx context.Context, r *report) error {
	progress("%d istiods that the Sail operator did not install", installedMeshes)
	c, err := newClients(b.small.Config)
	if err != nil {
		return err
	}
	before, err := b.memoryAtRest(ctx)
	if err != nil {
		return err
	}
	if err := c.installIstiods(ctx); err != nil {
		return err
	}
	after, err := b.memoryAtRest(ctx)
	if err != nil {
		return err
	}
	var more []float64
	for i := range after {
		more = append(more, after[i]-before[i])
	}
	r.Rows = append(r.Rows, row{
		Name: fmt.Sprintf("resident more with %d istiods that the operator did not install and %d other ConfigMaps", installedMeshes, unrelatedConfigMaps),
		Unit: "MiB", Figure: newFigure(more), Target: 4,
	})
	return b.unrelatedWrites(ctx, c, r)
}

// memoryAtRest starts meshfence several times and returns its memory each time, sorted. The last one runs on.
func (b *bench) memoryAtRest(ctx context.Context) ([]float64, error) {
	var all []float64
	for range rests {
		if b.small.Meshfence() != nil {
			if err := b.small.StopMeshfence(); err != nil {
				return nil, err
			}
		}
		if _, err := b.small.StartMeshfence(ctx, withoutAudit()); err != nil {
			return nil, err
		}
		mib, err := atRest(ctx, b.small.Meshfence().PID())
		if err != nil {
			return nil, err
		}
		all = append(all, mib)
	}
	slices.Sort(all)
	return all, nil
}

// installIstiods makes the objects of istiods, as the chart does, and other ConfigMaps.
func (c *clients) installIstiods(ctx context.Context) error {
	text := strings.Repeat("a line of a template\n", templates/21)
	for i := range installedMeshes {
		plane := fmt.Sprintf("plane-%d", i)
		labels := map[string]string{"istio.io/rev": plane}
		meta := func(name string) metav1.ObjectMeta {
			return metav1.ObjectMeta{Name: name, Namespace: plane, Labels: labels}
		}
		if _, err := c.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: plane, Labels: map[string]string{"plane": plane}}}, metav1.CreateOptions{}); err != nil {
			return err
		}
		for _, configMap := range []*corev1.ConfigMap{
			{ObjectMeta: meta("istio-" + plane), Data: map[string]string{"mesh": fmt.Sprintf("discoverySelectors: [{matchLabels: {plane: %s}}]", plane)}},
			{ObjectMeta: meta("istio-sidecar-injector-" + plane), Data: map[string]string{"values": "{}", "config": text}},
			{ObjectMeta: meta("values-" + plane), Data: map[string]string{"merged-values": text[:templates/4]}},
		} {
			if _, err := c.kube.CoreV1().ConfigMaps(plane).Create(ctx, configMap, metav1.CreateOptions{}); err != nil {
				return err
			}
		}
		deployment := &appsv1.Deployment{ObjectMeta: meta("istiod-" + plane)}
		deployment.Labels = map[string]string{"app": "istiod", "istio.io/rev": plane}
		deployment.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
		deployment.Spec.Template.Labels = labels
		deployment.Spec.Template.Spec.Containers = []corev1.Container{{Name: "discovery", Image: "istiod"}}
		if _, err := c.kube.AppsV1().Deployments(plane).Create(ctx, deployment, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	for i := range unrelatedConfigMaps {
		other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("other-%d", i)}, Data: map[string]string{"key": text[:1000]}}
		if _, err := c.kube.CoreV1().ConfigMaps("default").Create(ctx, other, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// unrelatedWrites compares writes of ConfigMaps that are none of an istiod's with and without the webhook configurations, in turns, and counts what
// meshfence receives.
func (b *bench) unrelatedWrites(ctx context.Context, c *clients, r *report) error {
	progress("writes of other ConfigMaps")
	before, err := countWebhooks(ctx, c)
	if err != nil {
		return err
	}
	var with, without []float64
	for round := -1; round < b.plan.rounds; round++ {
		if err := b.small.InstallWebhooks(ctx); err != nil {
			return err
		}
		there, err := b.timeWrites(ctx, c)
		if err != nil {
			return err
		}
		if err := removeWebhooks(ctx, c); err != nil {
			return err
		}
		gone, err := b.timeWrites(ctx, c)
		if err != nil {
			return err
		}
		if round >= 0 {
			with, without = append(with, there), append(without, gone)
		}
	}
	after, err := countWebhooks(ctx, c)
	if err != nil {
		return err
	}
	r.Rows = append(r.Rows,
		row{Name: "(e)/(a) write of a ConfigMap that is none of an istiod's, p50", Unit: "ratio", Figure: ratio(with, without), Target: 1.03},
		row{Name: "such writes that the API server asked about", Unit: "", Figure: single(after.asked[istiodWebhook] - before.asked[istiodWebhook]), Never: true})
	return nil
}

// timeWrites is the median time of a write, in milliseconds.
func (b *bench) timeWrites(ctx context.Context, c *clients) (float64, error) {
	if err := b.small.WaitWebhooks(ctx); err != nil {
		return 0, err
	}
	var s sample
	for i := range writes {
		patch := fmt.Appendf(nil, `{"data":{"key":"%d"}}`, time.Now().UnixNano())
		begin := time.Now()
		_, err := c.kube.CoreV1().ConfigMaps("default").Patch(ctx, fmt.Sprintf("other-%d", i), types.MergePatchType, patch, metav1.PatchOptions{})
		s.latencies = append(s.latencies, time.Since(begin))
		if err != nil {
			return 0, err
		}
	}
	return float64(s.quantile(0.5)) / float64(time.Millisecond), nil
}

// removeWebhooks removes both configurations.
func removeWebhooks(ctx context.Context, c *clients) error {
	registration := c.kube.AdmissionregistrationV1()
	err := registration.ValidatingWebhookConfigurations().Delete(ctx, webhooksName, metav1.DeleteOptions{})
	if err == nil || apierrors.IsNotFound(err) {
		err = registration.MutatingWebhookConfigurations().Delete(ctx, webhooksName, metav1.DeleteOptions{})
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// measureIstiods is compareIstiods alone, in a cluster without anything else.
func measureIstiods(ctx context.Context, p plan) (r *report, err error) {
	begin := time.Now()
	r = &report{Machine: machine(), Rounds: p.rounds, Requests: p.requests}
	b, err := start(ctx, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.compareIstiods(ctx, r); err != nil {
		return nil, err
	}
	r.Took = time.Since(begin).Round(time.Second).String()
	return r, nil
}
