// Package events writes Events (events.k8s.io) about objects that are only known by name. It knows nothing of meshes.
package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	eventsclient "k8s.io/client-go/kubernetes/typed/events/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// MaxNote is how many bytes a note may have (k8s.io/kubernetes/pkg/apis/core/validation: NoteLengthLimit).
const MaxNote = 1024

// maxInstance is how many bytes the name of a reporting instance may have (ReportingInstanceLengthLimit there).
const maxInstance = 128

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

// Recorder records events.
type Recorder struct {
	names                metadata.Interface
	events               eventsclient.EventsGetter
	kinds                map[string]schema.GroupVersionResource
	controller, instance string
}

// New returns a Recorder of events about objects of these kinds. controller is the name of the program, and instance that of its replica.
func New(api *rest.Config, kinds map[string]schema.GroupVersionResource, controller, instance string) (*Recorder, error) {
	names, err := metadata.NewForConfig(api)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	writer, err := eventsclient.NewForConfig(api)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return &Recorder{names: names, events: writer, kinds: kinds, controller: controller, instance: instance[:min(len(instance), maxInstance)]}, nil
}

// Record writes an event. It asks the API server for the uid of the object, without which kubectl describe does not show the event (k8s.io/kubectl/pkg/describe: searchEvents). About
// what does not exist any more, or is in a namespace that is being deleted, nothing is written. client-go's recorder would write it later, and say nothing of what is refused; and it
// makes one event of two that differ in their notes alone.
func (r *Recorder) Record(ctx context.Context, e Event) error {
	if err := r.record(ctx, e); err != nil {
		return fmt.Errorf("an event about %s %s: %w", e.Kind, strings.TrimPrefix(e.Namespace+"/"+e.Name, "/"), err)
	}
	return nil
}

func (r *Recorder) record(ctx context.Context, e Event) error {
	about, err := r.object(ctx, e)
	if err != nil || about == nil {
		return err
	}
	now := metav1.NowMicro()
	event := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: cmp.Or(about.Namespace, metav1.NamespaceDefault), Name: eventName(e.Name, now.UnixNano())},
		EventTime:  now, ReportingController: r.controller, ReportingInstance: r.instance,
		Regarding: *about, Type: corev1.EventTypeNormal, Reason: e.Reason, Action: e.Action, Note: e.Note,
	}
	if e.Warning {
		event.Type = corev1.EventTypeWarning
	}
	_, err = r.events.Events(event.Namespace).Create(ctx, event, metav1.CreateOptions{})
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil // nothing is made in a namespace that is being deleted
	}
	return err
}

// eventName is that of an event, as client-go makes it (tools/events: makeEvent).
func eventName(object string, time int64) string {
	end := fmt.Sprintf(".%x", time)
	const longest = 253
	return strings.TrimRight(object[:min(len(object), longest-len(end))], ".-") + end
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
