package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// podsPerPage is how many pods one request asks for: few enough that a look which runs out of time has seen something.
const podsPerPage = 100

// Pods looks at the pods of a namespace: at no more than limit, and no longer than the context lasts. It asks for their
// metadata only, as protobuf, in pages of what the API server has at hand. That is milliseconds behind what is stored. To be
// sure of the very present the API server would have to hear from etcd how far its cache is, for which it waits up to 100 ms
// (k8s.io/apiserver/pkg/storage/cacher/progress), many times what the rest of a request takes. The first page is one "not older
// than" the oldest version that there is; with version 0 the API server would answer with all pods, whatever the limit.
func (c *Cluster) Pods(ctx context.Context, namespace string, limit int) mesh.Pods {
	pods := mesh.Pods{Revisions: map[string]int{}}
	began, looked := time.Now(), 0
	options := metav1.ListOptions{ResourceVersion: "1", ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}
	for {
		options.Limit = int64(min(podsPerPage, limit-looked))
		page, err := c.resources.pods.page(ctx, namespace, options)
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

// podSource lists pods. It sends its requests itself, over HTTP/1.1, with client-go's connections and credentials: of a page without
// pods, the usual one where a namespace joins, a client for all kinds of objects takes twice the processor time, in the
// middle of a request that somebody waits for.
type podSource struct {
	client *http.Client
	server *url.URL
}

// newPodSource makes one with connections of its own.
func newPodSource(cfg *rest.Config) (*podSource, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.NextProtos = []string{"http/1.1"}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, err
	}
	server, _, err := rest.DefaultServerUrlFor(cfg)
	return &podSource{client: client, server: server}, err
}

// page reads one page of the metadata of a namespace's pods.
func (s *podSource) page(ctx context.Context, namespace string, options metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	query, err := metav1.ParameterCodec.EncodeParameters(&options, metav1.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	where := s.server.JoinPath("api/v1/namespaces", namespace, "pods")
	where.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", podMetadata)
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the API server answered %s", response.Status)
	}
	return decodePods(body)
}

func decodePods(body []byte) (*metav1.PartialObjectMetadataList, error) {
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
func count(pods *mesh.Pods, items []metav1.PartialObjectMetadata) {
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
