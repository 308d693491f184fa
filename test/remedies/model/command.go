package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Request is what a command asks the API server to change.
type Request struct {
	Verb Verb
	Key  Key
	// Patch is a JSON merge patch, and for Apply the whole object.
	Patch map[string]any
	// keep says that what has another value already is not changed: kubectl refuses then.
	keep bool
}

// Verb says what is asked. The zero value is invalid.
type Verb int

// Verbs.
const (
	// Patch merges into an object that exists.
	Patch Verb = iota + 1
	// Delete deletes it.
	Delete
	// Apply creates the object, or merges into it.
	Apply
)

// resources are those that messages may name, as they must: what belongs to the Sail operator with its group, because other
// products have an istio resource too.
var resources = map[string]string{
	"namespace": KindNamespace, "configmap": KindConfigMap, "istios.sailoperator.io": "Istio",
	"istiorevisions.sailoperator.io": "IstioRevision", "istiorevisiontags.sailoperator.io": "IstioRevisionTag",
}

// Read returns what a command asks for; nothing if it only shows something. An error says why a person could not paste it.
func Read(command string) ([]Request, error) {
	all, err := words(command)
	if err != nil {
		return nil, err
	}
	switch {
	case len(all) == 7 && all[0] == "echo" && slices.Equal(all[2:], []string{"|", "kubectl", "apply", "-f", "-"}):
		return apply(all[1])
	case len(all) < 3 || all[0] != "kubectl":
		return nil, errors.New("no command of kubectl")
	}
	c, err := arguments(all[2:])
	if err != nil {
		return nil, err
	}
	switch all[1] {
	case "label":
		return c.metadata("labels")
	case "annotate":
		return c.metadata("annotations")
	case "patch":
		return c.patch()
	case "delete":
		return c.each(Delete, nil)
	case "get":
		return nil, c.shows()
	case "explain":
		if c.flags["--api-version"] != "sailoperator.io/v1" {
			return nil, errors.New("the group is not named")
		}
		return nil, nil
	default:
		return nil, fmt.Errorf("kubectl %s is none of the commands that messages use", all[1])
	}
}

// call is a command of kubectl: its arguments, and its flags with their values.
type call struct {
	arguments []string
	flags     map[string]string
}

// arguments tells flags from the rest. Of those that messages use, -p, -n, -o and --namespace take the next word as their value.
func arguments(all []string) (call, error) {
	c := call{flags: map[string]string{}}
	for i := 0; i < len(all); i++ {
		name, value, assigned := strings.Cut(all[i], "=")
		switch {
		case !strings.HasPrefix(name, "-"):
			c.arguments = append(c.arguments, all[i])
		case slices.Contains([]string{"-p", "-n", "-o", "--namespace"}, all[i]) && i+1 < len(all):
			i++
			c.flags[name] = all[i]
		case slices.Contains([]string{"--overwrite", "--type", "--namespace", "--api-version"}, name):
			c.flags[name] = value
			if !assigned {
				c.flags[name] = "true"
			}
		default:
			return c, fmt.Errorf("a flag that messages do not use: %s", all[i])
		}
	}
	if len(c.arguments) == 0 {
		return c, errors.New("no resource")
	}
	return c, nil
}

// shows checks the resources of a command that shows something.
func (c call) shows() error {
	for resource := range strings.SplitSeq(c.arguments[0], ",") {
		if _, known := resources[resource]; !known {
			return fmt.Errorf("%q is none of the resources, with their groups, that messages name", resource)
		}
	}
	return nil
}

// each makes one request for each of the named objects.
func (c call) each(verb Verb, patch map[string]any) ([]Request, error) {
	kind, known := resources[c.arguments[0]]
	if !known {
		return nil, fmt.Errorf("%q is none of the resources, with their groups, that messages name", c.arguments[0])
	}
	if len(c.arguments) == 1 {
		return nil, errors.New("no object is named")
	}
	if namespaced := kind == KindConfigMap; namespaced != (c.flags["--namespace"] != "") {
		return nil, errors.New("a namespace that does not belong there, or none")
	}
	var requests []Request
	for _, name := range c.arguments[1:] {
		requests = append(requests, Request{Verb: verb, Key: Key{Kind: kind, Namespace: c.flags["--namespace"], Name: name}, Patch: patch})
	}
	return requests, nil
}

// metadata is kubectl label and kubectl annotate.
func (c call) metadata(field string) ([]Request, error) {
	changes := map[string]any{}
	first := slices.IndexFunc(c.arguments[1:], func(word string) bool { return strings.Contains(word, "=") || strings.HasSuffix(word, "-") }) + 1
	if first == 0 {
		return nil, errors.New("at least one change is required")
	}
	for _, word := range c.arguments[first:] {
		key, value, sets := strings.Cut(word, "=")
		if !sets {
			if key = strings.TrimSuffix(word, "-"); key == word {
				return nil, fmt.Errorf("%q neither sets nor removes anything", word)
			}
		}
		if _, twice := changes[key]; twice {
			return nil, fmt.Errorf("%q twice", key)
		}
		if changes[key] = nil; sets {
			changes[key] = value
		}
	}
	c.arguments = c.arguments[:first]
	requests, err := c.each(Patch, map[string]any{"metadata": map[string]any{field: changes}})
	for i := range requests {
		requests[i].keep = c.flags["--overwrite"] != "true"
	}
	return requests, err
}

// patch is kubectl patch --type=merge.
func (c call) patch() ([]Request, error) {
	if c.flags["--type"] != "merge" || len(c.arguments) != 2 {
		return nil, errors.New("not a merge patch of one object")
	}
	var patch map[string]any
	if err := json.Unmarshal([]byte(c.flags["-p"]), &patch); err != nil {
		return nil, err
	}
	return c.each(Patch, patch)
}

// apply is kubectl apply of one object.
func apply(text string) ([]Request, error) {
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(text), object); err != nil {
		return nil, err
	}
	return []Request{{Verb: Apply, Key: keyOf(object), Patch: object.Object}}, nil
}
