// Package reports keeps ClusterReports of OpenReports (openreports.io) as they should be: it writes what has changed, and nothing else. It knows nothing
// of meshes.
package reports

import (
	"context"
	"errors"
	"fmt"
	"strings"

	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// ManagedBy is the label that our reports have, and its value.
const (
	ManagedBy = "app.kubernetes.io/managed-by"
	Manager   = "meshfence"
)

// Writer writes reports.
type Writer struct {
	client dynamic.ResourceInterface
}

// New returns a Writer to the API server.
func New(api *rest.Config) (*Writer, error) {
	client, err := dynamic.NewForConfig(api)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return &Writer{client: client.Resource(openreports.SchemeGroupVersion.WithResource("clusterreports"))}, nil
}

// Write makes the stored reports with our label these: it creates, updates and deletes what differs. Where the definition is not installed it does nothing. It
// reports how many it wrote.
func (w *Writer) Write(ctx context.Context, wanted []openreports.ClusterReport) (written int, err error) {
	list, err := w.client.List(ctx, metav1.ListOptions{LabelSelector: ManagedBy + "=" + Manager})
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the reports: %w", err)
	}
	stored := make(map[string]*unstructured.Unstructured, len(list.Items))
	for i := range list.Items {
		stored[list.Items[i].GetName()] = &list.Items[i]
	}
	var problems []error
	note := func(name string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("ClusterReport %s: %w", name, err))
			return
		}
		written++
	}
	for i := range wanted {
		name := wanted[i].Name
		before := stored[name]
		delete(stored, name)
		switch fresh, same, err := compare(&wanted[i], before); {
		case err != nil:
			note(name, err)
		case same:
		case before == nil:
			_, err = w.client.Create(ctx, fresh, metav1.CreateOptions{})
			note(name, err)
		default:
			fresh.SetResourceVersion(before.GetResourceVersion())
			_, err = w.client.Update(ctx, fresh, metav1.UpdateOptions{})
			note(name, err)
		}
	}
	for name, old := range stored {
		uid := old.GetUID()
		err := w.client.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		if !apierrors.IsNotFound(err) {
			note(name, err)
		}
	}
	return written, errors.Join(problems...)
}

// prefix is that of meshfence's own labels and annotations.
const prefix = "meshfence.io/"

// compare returns the report as it is sent, and whether the stored one says the same.
func compare(wanted *openreports.ClusterReport, before *unstructured.Unstructured) (fresh *unstructured.Unstructured, same bool, err error) {
	wanted = wanted.DeepCopy()
	wanted.APIVersion, wanted.Kind = openreports.SchemeGroupVersion.String(), "ClusterReport"
	if wanted.Labels == nil {
		wanted.Labels = map[string]string{}
	}
	wanted.Labels[ManagedBy] = Manager
	if before != nil {
		keepOthers(wanted, before)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(wanted)
	if err != nil {
		return nil, false, err
	}
	fresh = &unstructured.Unstructured{Object: content}
	if before == nil {
		return fresh, false, nil
	}
	var stored openreports.ClusterReport
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(before.Object, &stored); err != nil {
		return fresh, false, nil // it is not ours any more in more than its label
	}
	same = equality.Semantic.DeepEqual(stored.Labels, wanted.Labels) && equality.Semantic.DeepEqual(stored.Annotations, wanted.Annotations) &&
		stored.Source == wanted.Source && equality.Semantic.DeepEqual(stored.Configuration, wanted.Configuration) &&
		stored.Summary == wanted.Summary && equality.Semantic.DeepEqual(stored.Results, wanted.Results)
	return fresh, same, nil
}

// keepOthers keeps what others have put on a stored report: a backup's label, a tool's annotation, owners. Ours are those with our prefix.
func keepOthers(wanted *openreports.ClusterReport, stored *unstructured.Unstructured) {
	wanted.OwnerReferences, wanted.Finalizers = stored.GetOwnerReferences(), stored.GetFinalizers()
	keep := func(ours, theirs map[string]string) map[string]string {
		for key, value := range theirs {
			if _, set := ours[key]; set || strings.HasPrefix(key, prefix) {
				continue
			}
			if ours == nil {
				ours = map[string]string{}
			}
			ours[key] = value
		}
		return ours
	}
	wanted.Labels, wanted.Annotations = keep(wanted.Labels, stored.GetLabels()), keep(wanted.Annotations, stored.GetAnnotations())
}
