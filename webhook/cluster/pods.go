package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// podsPerPage is how many pods one request asks for: few enough that a look which runs out of time has seen something.
const podsPerPage = 100

// Pods looks at the pods of a namespace: at no more than limit, and no longer than the context lasts. It asks for their
// metadata only, in pages of what the API server has at hand, which is milliseconds behind what is stored. To be
// sure of the very present the API server would have to hear from etcd how far its cache is, for which it waits up to 100 ms
// (k8s.io/apiserver/pkg/storage/cacher/progress), many times what the rest of a request takes. The first page is one "not older
// than" the oldest version that there is; with version 0 the API server would answer with all pods, whatever the limit.
func (c *Cluster) Pods(ctx context.Context, namespace string, limit int) mesh.Pods {
	pods := mesh.Pods{Revisions: map[string]int{}}
	began, looked := time.Now(), 0
	options := metav1.ListOptions{ResourceVersion: "1", ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}
	for {
		options.Limit = int64(min(podsPerPage, limit-looked))
		page, err := c.resources.pods.Namespace(namespace).List(ctx, options)
		if err != nil {
			pods.Stopped = whyStopped(ctx, began)
			log.FromContext(ctx).Info("the look at a namespace's pods was not finished", "namespace", namespace, "seen", looked, "problem", err.Error())
			return pods
		}
		countPods(&pods, page.Items)
		looked += len(page.Items)
		if options = (metav1.ListOptions{Continue: page.Continue}); options.Continue == "" {
			return pods
		}
		if looked >= limit {
			pods.Stopped = fmt.Sprintf("after %d pods", looked)
			return pods
		}
	}
}

// countPods adds the pods that are not being deleted.
func countPods(pods *mesh.Pods, items []metav1.PartialObjectMetadata) {
	for i := range items {
		if items[i].DeletionTimestamp != nil {
			continue
		}
		pods.Seen++
		if revision, injected := items[i].Annotations[mesh.PodRevisionAnnotation]; injected {
			pods.Revisions[revision]++
		}
	}
}

// whyStopped says how long a look could take that took too long, or else that the API server is to blame.
func whyStopped(ctx context.Context, began time.Time) string {
	if deadline, limited := ctx.Deadline(); limited && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("after %v", deadline.Sub(began).Round(time.Millisecond))
	}
	return "because the API server did not list them"
}
