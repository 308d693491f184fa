package webhook

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/kube"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// The bounds of a look at a namespace's pods (MF207).
const (
	maxPods     = 500
	podsTimeout = 300 * time.Millisecond
)

// namespaceValidator validates Namespaces. To allow one it does not call the API server: the fleet is at hand. Only a namespace that
// moves to other meshes costs a look at its pods, and a question for the user's rights if the configuration switches that rule on.
type namespaceValidator struct{ *common }

// validateNamespaces returns the handler of CREATE and UPDATE of a namespace. A DELETE can put no namespace into two meshes. The labels
// of a namespace can be changed through its status and finalize too, whose objects are whole namespaces. Failure policy: Fail.
func validateNamespaces(c *common) admission.Handler {
	v := namespaceValidator{c}
	return &kindHandler[kube.Namespace]{
		common: c, kind: namespaceKind, decode: decodeNamespace, subresources: true, skip: v.skip,
		annotations: func(ns *kube.Namespace) map[string]string { return ns.Metadata.Annotations }, judge: v.judge,
	}
}

// skip reports whether a namespace needs no judgement. Its own name counts, because that of the request is empty if it was generated.
func (v namespaceValidator) skip(_, updated *kube.Namespace) bool {
	return updated.Metadata.DeletionTimestamp != "" || v.exempt.object(updated)
}

// judge asks the policy, and the API server for what the policy needs to know of it. The pods count if the namespace moves, which it does also if
// what is wrong with it may be overridden.
func (v namespaceValidator) judge(ctx context.Context, req *admission.Request, old, updated *kube.Namespace) admission.Response {
	annotations := updated.Metadata.Annotations
	change := policy.NamespaceChange{Old: old.ToMesh(), New: updated.ToMesh(), Now: v.now(), User: req.UserInfo.Username}
	verdict := v.confirmed(ctx, v.cluster.Fleet(), func(fleet *mesh.Fleet) policy.Verdict {
		change.Fleet = fleet
		change.All = func() []mesh.Namespace { return v.others(ctx, fleet) }
		v.askRights(ctx, req, &change)
		return v.policy.Namespace(change)
	})
	override := policy.ReadOverride(annotations[policy.OverrideAnnotation])
	if (verdict.Answer == policy.Allowed || len(override.Asks(verdict)) > 0) && v.policy.WantsPods(change) {
		pods := v.pods(ctx, change.New.Name)
		change.Pods = &pods
		verdict = v.policy.Namespace(change)
	}
	return v.finish(ctx, req, annotations, verdict)
}

// others returns the cluster's namespaces, without the exempt ones, for a message that depends on them; nil if they cannot be had.
func (v namespaceValidator) others(ctx context.Context, fleet *mesh.Fleet) []mesh.Namespace {
	all, err := v.cluster.Namespaces(ctx, func() []string { return v.policy.JudgedKeys(fleet) })
	if err != nil {
		return nil
	}
	return v.exempt.without(all)
}

// pods sees what it can of the namespace's pods in the time that there is.
func (v namespaceValidator) pods(ctx context.Context, namespace string) mesh.Pods {
	if ctx.Err() != nil {
		return mesh.Pods{Stopped: "before it began, because the API server is slow"}
	}
	ctx, cancel := context.WithTimeout(ctx, podsTimeout)
	defer cancel()
	return v.cluster.Pods(ctx, namespace, maxPods)
}
