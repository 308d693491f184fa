package harness

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// syncPods runs the Pods that belong to no Deployment, such as Helm's tests: each once, to its end, which is then its phase.
func (n *Node) syncPods(ctx context.Context) error {
	list := &corev1.PodList{}
	if err := n.cluster.Client.List(ctx, list); err != nil {
		return err
	}
	for i := range list.Items {
		p := &list.Items[i]
		if p.Status.Phase != corev1.PodPending || p.DeletionTimestamp != nil {
			continue
		}
		output, err := n.runOnce(ctx, p)
		p.Status.Phase, p.Status.Message = corev1.PodSucceeded, string(output)
		if err != nil {
			p.Status.Phase, p.Status.Message = corev1.PodFailed, err.Error()+": "+string(output)
		}
		if err := n.cluster.Client.Status().Update(ctx, p); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

func (n *Node) runOnce(ctx context.Context, p *corev1.Pod) ([]byte, error) {
	account := client.ObjectKey{Namespace: p.Namespace, Name: p.Spec.ServiceAccountName}
	kubeconfig, err := n.cluster.tokenKubeconfig(ctx, nil, account, filepath.Join(n.cluster.dir, "pods", p.Name))
	if err != nil {
		return nil, err
	}
	args := append(slices.Clone(p.Spec.Containers[0].Args), "--kubeconfig", kubeconfig)
	output, err := exec.CommandContext(ctx, n.cluster.options.Binary, args...).CombinedOutput()
	return bytes.TrimSpace(output), err
}
