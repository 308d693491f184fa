package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/webhook/match"
)

// fieldManager is the name under which the API server notes which fields were written here.
const fieldManager = "meshfence"

// writer writes match conditions, the only thing in a webhook configuration that it touches: those called
// match.ConditionName, wherever the configuration has one. It adds and removes none.
type writer struct {
	client dynamic.ResourceInterface
	writes prometheus.Counter
}

// rewrite gives each of the conditions of the configuration, if there is one of that name, the expression that want makes of
// the stored one. It writes only if something differs, and only onto the very version that it has read: if somebody else
// was faster it begins anew, a few times.
func (w *writer) rewrite(ctx context.Context, name string, want func(stored string) string) error {
	pause := wait.Backoff{Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 8, Cap: time.Second}
	var outdated error
	err := wait.ExponentialBackoffWithContext(ctx, pause, func(ctx context.Context) (bool, error) {
		err := w.try(ctx, name, want)
		// A failed test of a JSON patch is answered with 422, not with 409.
		if apierrors.IsConflict(err) || apierrors.IsInvalid(err) {
			outdated = err
			return false, nil
		}
		return true, err
	})
	if wait.Interrupted(err) && outdated != nil {
		return fmt.Errorf("%w (the last answer: %w)", err, outdated)
	}
	return err
}

func (w *writer) try(ctx context.Context, name string, want func(stored string) string) error {
	configuration, err := w.client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	operations := patch(configuration, want)
	if len(operations) == 0 {
		return nil
	}
	body, err := json.Marshal(operations)
	if err != nil {
		return err
	}
	if _, err = w.client.Patch(ctx, name, types.JSONPatchType, body, metav1.PatchOptions{FieldManager: fieldManager}); err != nil {
		return err
	}
	w.writes.Inc()
	log.FromContext(ctx).Info("the label keys that the API server asks about have changed", "kind", configuration.GetKind(), "name", name)
	return nil
}

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// patch returns the operations that rewrite the conditions, none if they are as wanted. The places are those of this
// version of the configuration, so a test of the version comes first.
func patch(configuration *unstructured.Unstructured, want func(stored string) string) []operation {
	var replacements []operation
	for _, c := range conditions(configuration) {
		if wanted := want(c.expression); wanted != c.expression {
			replacements = append(replacements, operation{Op: "replace", Path: c.path, Value: wanted})
		}
	}
	if len(replacements) == 0 {
		return nil
	}
	return slices.Insert(replacements, 0, operation{Op: "test", Path: "/metadata/resourceVersion", Value: configuration.GetResourceVersion()})
}

// condition is the expression of a match condition, and where it stands, as a JSON pointer.
type condition struct {
	path, expression string
}

// conditions returns the match conditions of the configuration that are ours to write, in its order.
func conditions(configuration *unstructured.Unstructured) []condition {
	var found []condition
	webhooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
	for i, webhook := range webhooks {
		fields, _ := webhook.(map[string]any)
		list, _, _ := unstructured.NestedSlice(fields, "matchConditions")
		for j, item := range list {
			fields, _ := item.(map[string]any)
			expression, ok := fields["expression"].(string)
			if ok && fields["name"] == match.ConditionName {
				found = append(found, condition{fmt.Sprintf("/webhooks/%d/matchConditions/%d/expression", i, j), expression})
			}
		}
	}
	return found
}
