// Package events writes Events (events.k8s.io) about objects that are only known by name. It knows nothing of meshes.
package events

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// MaxNote is how many bytes a note may have (k8s.io/kubernetes/pkg/apis/core/validation: NoteLengthLimit).
const MaxNote = 1024

// Event is one that is to be written.
type Event struct {
	// Kind, Namespace and Name are of the object. One that does not exist any more has no events.
	Kind, Namespace, Name string
	// Warning says that something is wrong, rather than right again.
	Warning bool
	// Reason and Action are words in CamelCase.
	Reason, Action string
	// Note is a sentence of at most MaxNote bytes.
	Note string
}

// Sink is what takes events: the EventRecorder of a controller-runtime manager. It writes them later, and those that repeat one another as a series.
type Sink interface {
	Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any)
}

// Recorder records events.
type Recorder struct {
	names metadata.Interface
	kinds map[string]schema.GroupVersionResource
	sink  Sink
}

// New returns a Recorder of events about objects of these kinds.
func New(api *rest.Config, kinds map[string]schema.GroupVersionResource, sink Sink) (*Recorder, error) {
	names, err := metadata.NewForConfig(api)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return &Recorder{names: names, kinds: kinds, sink: sink}, nil
}

// Record hands the events to the sink, in their order. It asks the API server for the uid of each object, without which kubectl describe does not show an event
// (k8s.io/kubectl/pkg/describe: searchEvents). The error says which could not be recorded.
func (r *Recorder) Record(ctx context.Context, all []Event) error {
	var problems []error
	for _, e := range all {
		about, err := r.object(ctx, e)
		if err != nil {
			problems = append(problems, fmt.Errorf("an event about %s %s: %w", e.Kind, e.Name, err))
			continue
		}
		if about == nil {
			continue
		}
		eventType := corev1.EventTypeNormal
		if e.Warning {
			eventType = corev1.EventTypeWarning
		}
		r.sink.Eventf(about, nil, eventType, e.Reason, e.Action, "%s", e.Note)
	}
	return errors.Join(problems...)
}

// object returns the reference to an object, nil if it does not exist. An event about a Namespace goes into that namespace, where those see it who work
// there; about any other object without a namespace it goes into the namespace default, as the API server asks for.
func (r *Recorder) object(ctx context.Context, e Event) (*corev1.ObjectReference, error) {
	resource, known := r.kinds[e.Kind]
	if !known {
		return nil, errors.New("its kind is not known")
	}
	// With the right to list, which is there for other reasons, and not the one to get.
	list, err := r.names.Resource(resource).Namespace(e.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", e.Name).String(), Limit: 1,
	})
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // the API server does not serve the kind any more
	}
	if err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		return nil, nil //nolint:nilnil // it was deleted
	}
	about := &corev1.ObjectReference{
		APIVersion: resource.GroupVersion().String(), Kind: e.Kind, Namespace: e.Namespace, Name: e.Name, UID: list.Items[0].UID,
	}
	if e.Kind == "Namespace" {
		about.Namespace = e.Name
	}
	return about, nil
}
