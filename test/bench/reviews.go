package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// reviewer sends AdmissionReviews as the API server does, over HTTP/1.1 connections that it keeps, without an API server.
type reviewer struct {
	client http.Client
	url    string
	body   []byte
	// allowed is the right answer.
	allowed bool
}

func newReviewer(server endpoint, path string, body []byte, allowed bool) *reviewer {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(server.authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 25}
	return &reviewer{client: http.Client{Transport: transport, Timeout: 10 * time.Second}, url: "https://" + server.address + path, body: body, allowed: allowed}
}

// question is what an AdmissionReview is about.
type question int

const (
	// injects gives a namespace that mesh-1 discovers its revision: to judge it takes no request.
	injects question = iota + 1
	// moves lets mesh-1 discover a namespace, with its revision: its pods are looked at.
	moves
	// errs gives a namespace that mesh-1 discovers the revision of another mesh.
	errs
)

// review is an UPDATE of a namespace.
func review(q question) ([]byte, error) {
	old, revision := map[string]string{"istio-discovery": "mesh-1"}, "mesh-1"
	switch q {
	case injects:
	case moves:
		old = nil
	case errs:
		revision = "mesh-2"
	}
	before, err := json.Marshal(stored(old))
	if err != nil {
		return nil, err
	}
	after, err := json.Marshal(stored(map[string]string{"istio-discovery": "mesh-1", "istio.io/rev": revision}))
	if err != nil {
		return nil, err
	}
	kind := metav1.GroupVersionKind{Version: "v1", Kind: "Namespace"}
	resource := metav1.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	return json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "0df28fbd-5f5f-11e8-bc74-36e6bb280816", Kind: kind, Resource: resource, RequestKind: &kind, RequestResource: &resource,
			Name: "shop", Namespace: "shop", Operation: admissionv1.Update,
			UserInfo: authenticationv1.UserInfo{Username: "somebody", Groups: []string{"developers", "system:authenticated"}},
			Object:   runtime.RawExtension{Raw: after}, OldObject: runtime.RawExtension{Raw: before},
			Options: runtime.RawExtension{Raw: []byte(`{"kind":"PatchOptions","apiVersion":"meta.k8s.io/v1"}`)},
		},
	})
}

// stored is a namespace as the API server sends it.
func stored(labels map[string]string) *corev1.Namespace {
	all := map[string]string{"kubernetes.io/metadata.name": "shop", "app.kubernetes.io/part-of": "shop", "pod-security.kubernetes.io/enforce": "restricted"}
	for key, value := range labels {
		all[key] = value
	}
	fields := `{"f:metadata":{"f:labels":{".":{},"f:app.kubernetes.io/part-of":{},"f:kubernetes.io/metadata.name":{},"f:pod-security.kubernetes.io/enforce":{}}}}`
	return &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "shop", UID: "a55e2b1b-2a4c-4f3c-9a1f-6b0f6a0e3a9e", ResourceVersion: "123456", Labels: all,
			Annotations:   map[string]string{"example.com/owner": "somebody@example.com"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: "Update", APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields)}},
		},
		Spec:   corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}},
		Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
	}
}

// ask sends one and checks the answer.
func (r *reviewer) ask(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(r.body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	// Every answer is looked at, but not decoded, which would cost more than it costs to give.
	if r.allowed != bytes.Contains(answer, []byte(`"allowed":true`)) {
		return fmt.Errorf("%s: allowed should be %v: %s", r.url, r.allowed, answer)
	}
	return nil
}

// run sends so many, workers at once.
func (r *reviewer) run(ctx context.Context, requests, workers int) (sample, error) {
	s := sample{latencies: make([]time.Duration, requests)}
	errs := make([]error, workers)
	var group sync.WaitGroup
	begin := time.Now()
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < requests && errs[worker] == nil; i += workers {
				start := time.Now()
				errs[worker] = r.ask(ctx)
				s.latencies[i] = time.Since(start)
			}
		})
	}
	group.Wait()
	s.wall = time.Since(begin)
	return s, errors.Join(errs...)
}
