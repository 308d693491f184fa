package selector_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/selector"
)

func TestEditsAreTheFewestThatMakeLabelsMatch(t *testing.T) {
	type edits = []selector.Edit
	for _, test := range []struct {
		name   string
		of     requirements
		labels map[string]string
		want   edits
	}{
		{"if the labels match, then nothing is to do", requirements{in("env", "a"), absent("team")}, map[string]string{"env": "a"}, nil},
		{"if a label is missing, then it is set to the least value", requirements{in("env", "b", "a")}, nil, edits{{Key: "env", Value: "a"}}},
		{"if a label has a wrong value, then it is set", requirements{in("env", "a")}, map[string]string{"env": "b"}, edits{{Key: "env", Value: "a"}}},
		{"if the value to set is empty, then it is not a removal", requirements{in("env", "")}, nil, edits{{Key: "env"}}},
		{"if a value is excluded, then the label is removed", requirements{notIn("env", "a")}, map[string]string{"env": "a"}, edits{{Key: "env", Remove: true}}},
		{"if the key must not exist, then the label is removed", requirements{absent("env")}, map[string]string{"env": "a"}, edits{{Key: "env", Remove: true}}},
		{"if the key must exist, then a value is made up", requirements{exists("env")}, nil, edits{{Key: "env", Value: "any"}}},
		{"if the key must exist with another value, then one is made up", requirements{exists("env"), notIn("env", "any")}, map[string]string{"env": "any"}, edits{{Key: "env", Value: "any-2"}}},
		{"if several labels are wrong, then the edits are sorted by key", requirements{in("team", "x"), absent("env"), exists("app")}, map[string]string{"env": "a"}, edits{{Key: "app", Value: "any"}, {Key: "env", Remove: true}, {Key: "team", Value: "x"}}},
		{"if the namespace has the right name, then only the rest is to do", requirements{in(name, "a"), in("env", "a")}, map[string]string{name: "a"}, edits{{Key: "env", Value: "a"}}},
		{"if the namespace has no name yet, then it gets one", requirements{in(name, "a")}, nil, edits{{Key: name, Value: "a"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := parse(t, test.of...).Edits(test.labels)
			if diff := cmp.Diff(test.want, got); diff != "" || !ok {
				t.Errorf("ok: %v, edits (-want +got):\n%s", ok, diff)
			}
		})
	}
}

func TestEditsSaysWhenNoChangeOfLabelsHelps(t *testing.T) {
	for _, test := range []struct {
		name   string
		of     requirements
		labels map[string]string
	}{
		{"if the selector contradicts itself", requirements{in("env", "a"), absent("env")}, map[string]string{"env": "a"}},
		{"if the name label must not exist", requirements{absent(name)}, nil},
		{"if another name is asked for", requirements{exists("env"), in(name, "b")}, map[string]string{name: "a"}},
		{"if the name is excluded", requirements{notIn(name, "a")}, map[string]string{name: "a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, ok := parse(t, test.of...).Edits(test.labels); ok || got != nil {
				t.Errorf("edits: %v, ok: %v", got, ok)
			}
		})
	}
	if got, ok := (selector.Selector{}).Edits(nil); ok || got != nil {
		t.Errorf("the zero selector has edits: %v, ok: %v", got, ok)
	}
}

func TestEditsDoNotChangeTheLabels(t *testing.T) {
	labels := map[string]string{"env": "a"}
	parse(t, absent("env"), exists("team")).Edits(labels)
	if diff := cmp.Diff(map[string]string{"env": "a"}, labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}
