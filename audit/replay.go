package audit

import (
	"encoding/json"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/meshfence/meshfence/webhook/policy"
)

// Answer is what the webhooks would say to one object of a file.
type Answer struct {
	Key Key
	// Refused says that it would not be stored.
	Refused bool
	// Findings are what it would be refused for, then what it would be warned of.
	Findings []policy.Offence
	// Notes are what filling in says, one line each.
	Notes []string
	// Filled is the value of istio.io/rev that would be filled in, "" for none.
	Filled string
}

// Replay answers objects in their order as the webhooks would, when kubectl apply sends them one after the other to a cluster: what is refused
// is not stored, and what follows is judged without it. The operator is taken to be slower than that: it makes no revision in between.
func (c *Checker) Replay(cluster *Inventory, objects []Object) ([]Answer, error) {
	stored, now := cluster.clone(), c.stateOf(cluster)
	answers := make([]Answer, 0, len(objects))
	for _, file := range objects {
		o, old, err := c.Scope.over(stored, file)
		if err != nil {
			return answers, err
		}
		answer, next, err := c.answer(now, &o, old)
		if err != nil {
			return answers, err
		}
		if !answer.Refused {
			stored.Put(o)
			now = next
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// answer fills in and judges one object, which it writes, and returns what would be stored then.
func (c *Checker) answer(now state, o *Object, old Object) (Answer, state, error) {
	answer := Answer{Key: o.Key}
	if o.namespace != nil {
		fill, err := c.fill(o, old, now.existing.Fleet)
		if err != nil {
			return answer, now, err
		}
		answer.Notes, answer.Filled = fill.Warnings, fill.Revision
	}
	next := now.with(*o)
	verdict := c.change(old, old.Raw != nil, *o, now, next)
	answer.Refused = verdict.Answer != policy.Allowed
	answer.Findings = offencesOf(o.Key, verdict.Denials, verdict.Warnings)
	return answer, next, nil
}

// Answer answers one change of a cluster: an object as it would be stored, whole. It returns the object as the webhook would have left it, with
// istio.io/rev filled in.
func (c *Checker) Answer(cluster *Inventory, updated Object) (Answer, Object, error) {
	old, _ := cluster.Get(updated.Key)
	answer, _, err := c.answer(c.stateOf(cluster), &updated, old)
	return answer, updated, err
}

// Relabelled returns a namespace with edits of its labels: a value, or nil for a label that goes, as kubectl label does it.
func (s Scope) Relabelled(ns Object, edits map[string]*string) (Object, error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": edits}})
	if err != nil {
		return Object{}, err
	}
	raw, err := jsonpatch.MergePatch(ns.Raw, patch)
	if err != nil {
		return Object{}, fmt.Errorf("the labels of %s cannot be changed: %w", ns.Key, err)
	}
	return s.Decode(ns.Kind, ns.Namespace, ns.Name, raw)
}
