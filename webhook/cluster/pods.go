package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/webhook/policy"
)

// podsPerPage is how many pods one request asks for: few enough that a look which runs out of time has seen something.
const podsPerPage = 100

// Pods looks at the pods of a namespace: at no more than limit, and no longer than the context lasts. It asks for their
// metadata only, as protobuf, in pages of what the API server has at hand. That is milliseconds behind what is stored. To be
// sure of the very present the API server would have to hear from etcd how far its cache is, for which it waits up to 100 ms
// (k8s.io/apiserver/pkg/storage/cacher/progress), many times what the rest of a request takes. The first page is one "not older
// than" the oldest version that there is; with version 0 the API server would answer with all pods, whatever the limit.
func (c *Cluster) Pods(ctx context.Context, namespace string, limit int) policy.Pods {
	pods := policy.Pods{Revisions: map[string]int{}}
	began, looked := time.Now(), 0
	options := metav1.ListOptions{ResourceVersion: "1", ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}
	for {
		options.Limit = int64(min(podsPerPage, limit-looked))
		page, err := c.podPage(ctx, namespace, options)
		if err != nil {
			pods.Stopped = whyStopped(ctx, began)
			log.FromContext(ctx).Info("the look at a namespace's pods was not finished", "namespace", namespace, "seen", looked, "problem", err.Error())
			return pods
		}
		count(&pods, page.Items)
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

// podMetadata asks for the metadata of a list's objects, as protobuf.
const podMetadata = runtime.ContentTypeProtobuf + ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

// podPage reads one page. It is decoded here, and not by a client for all kinds of objects and encodings, because finding out
// which they are takes a client nearly as much time as a page of no pods, which is the usual one where a namespace joins.
func (c *Cluster) podPage(ctx context.Context, namespace string, options metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	body, err := c.resources.core.Get().Namespace(namespace).Resource("pods").VersionedParams(&options, metav1.ParameterCodec).
		SetHeader("Accept", podMetadata).Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	content, isProtobuf := bytes.CutPrefix(body, []byte(protobufMagic))
	if !isProtobuf {
		return nil, errors.New("the list of pods is not in protobuf")
	}
	var envelope runtime.Unknown
	if err := envelope.Unmarshal(content); err != nil {
		return nil, fmt.Errorf("read the list of pods: %w", err)
	}
	page := &metav1.PartialObjectMetadataList{}
	if err := page.Unmarshal(envelope.Raw); err != nil {
		return nil, fmt.Errorf("read the list of pods: %w", err)
	}
	return page, nil
}

// count adds the pods that stay.
func count(pods *policy.Pods, items []metav1.PartialObjectMetadata) {
	for i := range items {
		if items[i].DeletionTimestamp != nil {
			continue
		}
		pods.Seen++
		if revision, injected := items[i].Annotations[policy.PodRevisionAnnotation]; injected {
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
