package conditions

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

// FieldManager is the name under which the API server notes which fields meshfence has written.
const FieldManager = "meshfence"

// writer writes the only things in a webhook configuration that it touches: the expressions of the conditions called
// match.ConditionName, wherever the configuration has one. It adds and removes no webhook, and no condition.
type writer struct {
	client   dynamic.ResourceInterface
	language language
	writes   prometheus.Counter
}

// rewrite edits the conditions of the configuration, if there is one of that name. It writes only if
// something differs, all at once, and only onto the very version that it has read: on a conflict it begins again, a few times.
func (w *writer) rewrite(ctx context.Context, name string, edit edit) error {
	pause := wait.Backoff{Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 8, Cap: time.Second}
	var outdated error
	err := wait.ExponentialBackoffWithContext(ctx, pause, func(ctx context.Context) (bool, error) {
		err := w.try(ctx, name, edit)
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

func (w *writer) try(ctx context.Context, name string, edit edit) error {
	configuration, err := w.client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	operations := patch(configuration, func(stored string) string { return w.language.edited(stored, edit) })
	if len(operations) == 0 {
		return nil
	}
	body, err := json.Marshal(operations)
	if err != nil {
		return err
	}
	if _, err = w.client.Patch(ctx, name, types.JSONPatchType, body, metav1.PatchOptions{FieldManager: FieldManager}); err != nil {
		return err
	}
	w.writes.Inc()
	log.FromContext(ctx).Info("the label keys and names that the API server asks about have changed", "kind", configuration.GetKind(), "name", name)
	return nil
}

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

// patch returns the operations that store the edited expressions, none if they are stored. The paths are those of
// this version of the configuration, so a test of the version comes first.
func patch(configuration *unstructured.Unstructured, edited func(stored string) string) []operation {
	var replacements []operation
	for _, c := range ownConditions(configuration) {
		if text := edited(c.expression); text != c.expression {
			replacements = append(replacements, operation{Op: "replace", Path: c.path, Value: text})
		}
	}
	if len(replacements) == 0 {
		return nil
	}
	return slices.Insert(replacements, 0, operation{Op: "test", Path: "/metadata/resourceVersion", Value: configuration.GetResourceVersion()})
}

// condition is a match condition of a configuration that is ours to write.
type condition struct {
	// path is where the expression stands, as a JSON pointer.
	path       string
	expression string
}

// ownConditions returns the conditions of the configuration that are ours to write, in its order.
func ownConditions(configuration *unstructured.Unstructured) []condition {
	var found []condition
	webhooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
	for i, webhook := range webhooks {
		fields, _ := webhook.(map[string]any)
		list, _, _ := unstructured.NestedSlice(fields, "matchConditions")
		for j, item := range list {
			fields, _ := item.(map[string]any)
			if expression, ok := fields["expression"].(string); ok && fields["name"] == match.ConditionName {
				found = append(found, condition{fmt.Sprintf("/webhooks/%d/matchConditions/%d/expression", i, j), expression})
			}
		}
	}
	return found
}
