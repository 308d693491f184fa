package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// The webhook that a person would write by hand: controller-runtime's server and decoder, an informer of the meshes, and one rule, that istio.io/rev
// belongs to the mesh whose selector matches. It is asked under meshfence's conditions, and fills in as meshfence does. It is a process of its own, this
// program with the argument handwritten.

const handwrittenCommand = "handwritten"

// handwritten is what it knows: the selectors of meshes by name.
type handwritten struct {
	decoder admission.Decoder
	lock    sync.RWMutex
	meshes  map[string][]labels.Selector
}

// serveHandwritten runs it until standard input ends.
func serveHandwritten(port int, certDir, kubeconfig string) error {
	ctx, stop := untilInputEnds()
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.WarningHandler = rest.NoWarnings{}
	c, err := newClients(config)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return err
	}
	h := &handwritten{decoder: admission.NewDecoder(scheme), meshes: map[string][]labels.Selector{}}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(c.dynamic, 10*time.Hour)
	meshes := factory.ForResource(istios()).Informer()
	if _, err := meshes.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: h.learn, UpdateFunc: func(_, updated any) { h.learn(updated) }, DeleteFunc: h.forget}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	cache.WaitForCacheSync(ctx.Done(), meshes.HasSynced)
	server := webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, CertDir: certDir})
	server.Register(fillValidatePath, &admission.Webhook{Handler: admission.HandlerFunc(h.validate)})
	server.Register(fillMutatePath, &admission.Webhook{Handler: admission.HandlerFunc(h.mutate)})
	return server.Start(ctx)
}

func (h *handwritten) learn(object any) {
	mesh, ok := object.(*unstructured.Unstructured)
	if !ok {
		return
	}
	list, _, _ := unstructured.NestedSlice(mesh.Object, "spec", "values", "meshConfig", "discoverySelectors")
	var selectors []labels.Selector
	for _, item := range list {
		s := &metav1.LabelSelector{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.(map[string]any), s); err != nil {
			continue
		}
		if parsed, err := metav1.LabelSelectorAsSelector(s); err == nil {
			selectors = append(selectors, parsed)
		}
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	h.meshes[mesh.GetName()] = selectors
}

func (h *handwritten) forget(object any) {
	if mesh, ok := object.(*unstructured.Unstructured); ok {
		h.lock.Lock()
		defer h.lock.Unlock()
		delete(h.meshes, mesh.GetName())
	}
}

// discovering returns the mesh that discovers a namespace, "" if none does.
func (h *handwritten) discovering(set map[string]string) string {
	h.lock.RLock()
	defer h.lock.RUnlock()
	for name, selectors := range h.meshes {
		for _, s := range selectors {
			if s.Matches(labels.Set(set)) {
				return name
			}
		}
	}
	return ""
}

func (h *handwritten) validate(_ context.Context, request admission.Request) admission.Response {
	ns := &corev1.Namespace{}
	if err := h.decoder.Decode(request, ns); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	revision, set := ns.Labels["istio.io/rev"]
	if by := h.discovering(ns.Labels); set && by != revision {
		return admission.Denied(fmt.Sprintf("istio.io/rev=%s belongs to another mesh than %q", revision, by))
	}
	return admission.Allowed("")
}

func (h *handwritten) mutate(_ context.Context, request admission.Request) admission.Response {
	ns := &corev1.Namespace{}
	if err := h.decoder.Decode(request, ns); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	by := h.discovering(ns.Labels)
	old := &corev1.Namespace{}
	if len(request.OldObject.Raw) > 0 {
		if err := h.decoder.DecodeRaw(request.OldObject, old); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
	}
	if by == "" || ns.Labels["istio.io/rev"] != "" || old.Labels["istio.io/rev"] != "" {
		return admission.Allowed("")
	}
	ns.Labels["istio.io/rev"] = by
	if ns.Annotations == nil {
		ns.Annotations = map[string]string{}
	}
	ns.Annotations["meshfence.io/filled-revision"] = by
	raw, err := json.Marshal(ns)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, raw)
}

// handwrittenTarget asks it under the very conditions under which meshfence is asked.
func (b *bench) handwrittenTarget(pid int) (*target, error) {
	manifests, err := b.main.Manifests()
	if err != nil {
		return nil, err
	}
	return meshfenceTarget("i", "a webhook written by hand on typed caches", manifests, b.handwrittenAt, pid)
}

// untilInputEnds is a context that ends with standard input, which ends with the process that started this one.
func untilInputEnds() (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		var end [1]byte
		for {
			if _, err := os.Stdin.Read(end[:]); err != nil {
				return
			}
		}
	}()
	return ctx, stop
}
