package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/webhook/match"
)

// fieldManager is the name under which the API server notes which fields were written here.
const fieldManager = "meshfence"

// writer writes the only things in a webhook configuration that it touches: the expressions of the conditions called
// match.ConditionName, wherever the configuration has one, and the objectSelector where it is for other labels
// (match.OthersPrefix). It adds and removes no webhook, and no condition.
type writer struct {
	client   dynamic.ResourceInterface
	generate generator
	writes   prometheus.Counter
}

// rewrite makes the webhooks of the configuration, if there is one of that name, ask about other keys. It writes only if
// something differs, all at once, and only onto the very version that it has read: if somebody else was faster it begins anew,
// a few times.
func (w *writer) rewrite(ctx context.Context, name string, change change) error {
	pause := wait.Backoff{Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 8, Cap: time.Second}
	var outdated error
	err := wait.ExponentialBackoffWithContext(ctx, pause, func(ctx context.Context) (bool, error) {
		err := w.try(ctx, name, change)
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

func (w *writer) try(ctx context.Context, name string, change change) error {
	configuration, err := w.client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	operations := patch(configuration, func(stored []hook) []hook { return w.generate.wanted(stored, change) })
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

// patch returns the operations that make the webhooks what is wanted, none if they are. The places are those of this
// version of the configuration, so a test of the version comes first.
func patch(configuration *unstructured.Unstructured, want func([]hook) []hook) []operation {
	var replacements []operation
	stored := hooks(configuration)
	for i, wanted := range want(stored) {
		if wanted.expression != stored[i].expression {
			replacements = append(replacements, operation{Op: "replace", Path: wanted.path + wanted.condition, Value: wanted.expression})
		}
		if !wanted.sameSelector(stored[i]) { // add, not replace, because there may be none
			replacements = append(replacements, operation{Op: "add", Path: wanted.path + "/objectSelector", Value: wanted.selector})
		}
	}
	if len(replacements) == 0 {
		return nil
	}
	return slices.Insert(replacements, 0, operation{Op: "test", Path: "/metadata/resourceVersion", Value: configuration.GetResourceVersion()})
}

// hook is a webhook of a configuration in which something is ours to write.
type hook struct {
	// path is where it stands, as a JSON pointer, and condition where the expression does in it: empty if there is none.
	path, condition string
	expression      string
	// others is true if it is the one for all labels that have none of their own; then the selector is ours to write too.
	others   bool
	selector metav1.LabelSelector
}

func (h hook) same(other hook) bool { return h.expression == other.expression && h.sameSelector(other) }

func (h hook) sameSelector(other hook) bool {
	return equality.Semantic.DeepEqual(h.selector, other.selector)
}

// hooks returns the webhooks of the configuration that are ours to write, in its order.
func hooks(configuration *unstructured.Unstructured) []hook {
	var found []hook
	webhooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
	for i, webhook := range webhooks {
		fields, _ := webhook.(map[string]any)
		name, _ := fields["name"].(string)
		h := hook{path: fmt.Sprintf("/webhooks/%d", i), others: strings.HasPrefix(name, match.OthersPrefix), selector: selectorOf(fields)}
		h.condition, h.expression = conditionOf(fields)
		if h.condition != "" || h.others {
			found = append(found, h)
		}
	}
	return found
}

// conditionOf returns the expression of a webhook's condition that is ours to write, and where it stands; empty if it has none.
func conditionOf(webhook map[string]any) (path, expression string) {
	list, _, _ := unstructured.NestedSlice(webhook, "matchConditions")
	for i, item := range list {
		condition, _ := item.(map[string]any)
		if expression, ok := condition["expression"].(string); ok && condition["name"] == match.ConditionName {
			return fmt.Sprintf("/matchConditions/%d/expression", i), expression
		}
	}
	return "", ""
}

// selectorOf returns the objectSelector of a webhook. The API server stores none that could not be read.
func selectorOf(webhook map[string]any) metav1.LabelSelector {
	var selector metav1.LabelSelector
	fields, _, _ := unstructured.NestedMap(webhook, "objectSelector")
	if runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &selector) != nil {
		return metav1.LabelSelector{}
	}
	return selector
}
