package model

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// Trial is one way out of one finding, and what it is tried on.
type Trial struct {
	// Before is the cluster that the change is made to, and Cluster the one in which the message is read: with the change if it was
	// admitted.
	Before, Cluster Cluster
	Change          Change
	Denied          bool
	Finding         policy.Finding
	Way             policy.Way
}

// Trials makes a change and returns all ways out with commands of all that it is told.
func (j *Judge) Trials(c Cluster, change Change) []Trial {
	answer, after := j.Of(c, change), c
	if answer.Answer == policy.Allowed {
		after = c.Put(change.Key, answer.Stored)
	}
	var trials []Trial
	for _, f := range answer.Findings() {
		for _, way := range f.Ways {
			if forShell(way) {
				trials = append(trials, Trial{Before: c, Cluster: after, Change: change, Denied: answer.Answer != policy.Allowed, Finding: f, Way: way})
			}
		}
	}
	return trials
}

// String shows what is needed to understand a failure.
func (t *Trial) String() string {
	return fmt.Sprintf("in\n%s\n\tfrom %s\n\tto   %s\n\t%s", t.Before, Text(t.Change.Old), Text(t.Change.New), t.Finding.Message())
}

// Run carries out the commands of the way out, one after the other: an error says that one of them cannot be pasted or is refused, or
// that afterwards the finding is there still.
func (j *Judge) Run(t *Trial) error {
	c, touched, last := t.Cluster, false, Answer{}
	var namespaces []string
	for _, command := range t.Way.Commands {
		requests, err := Read(command)
		if err != nil {
			return fmt.Errorf("%q cannot be pasted: %w", command, err)
		}
		for _, r := range requests {
			change, err := r.Change(c)
			if err != nil {
				return fmt.Errorf("%q: %w", command, err)
			}
			answer := j.Of(c, change)
			if answer.Answer != policy.Allowed {
				return fmt.Errorf("%q is refused: %s", command, answer.Denials[0].Message())
			}
			c = c.Put(r.Key, answer.Stored).Operate()
			if r.Key.Kind == KindNamespace {
				namespaces = append(namespaces, r.Key.Name)
			}
			if r.Key == t.Change.Key || c.PartOf(t.Change.Key, r.Key) {
				touched, last = true, answer
			}
		}
	}
	if len(slices.Concat(readAll(t.Way.Commands)...)) == 0 {
		return nil // they only show something
	}
	return j.Cured(t, c, touched, last, namespaces)
}

// Cured returns an error if the finding is there still after the commands: in the cluster as it is then. touched says that they changed
// the object itself, or the mesh that it is part of, last is what the last such change was told, and namespaces are those that they changed.
func (j *Judge) Cured(t *Trial, c Cluster, touched bool, last Answer, namespaces []string) error {
	left := j.left(t, c, touched, last)
	if left != nil && slices.Contains(ofChange, left.Rule.Code) && len(namespaces) > 0 && !slices.ContainsFunc(namespaces, func(name string) bool {
		return strings.Contains(left.Detail, strconv.Quote(name))
	}) {
		left = nil // it is about other namespaces now
	}
	if left != nil {
		return fmt.Errorf("after %q there is still: %s", t.Way.Commands, left.Message())
	}
	return nil
}

func readAll(commands []string) [][]Request {
	all := make([][]Request, len(commands))
	for i, command := range commands {
		all[i], _ = Read(command)
	}
	return all
}

// ofChange are the rules about what a change does to other objects: to be cured of them is to be able to make the change.
var ofChange = []policy.Code{"MF111", "MF112", "MF113", "MF118", "MF302", "MF303"}

// left is what is left of the finding in the cluster after the commands: nil if nothing is. If they have changed the object itself, it is
// judged as it stands then; else, and where the finding is about a change, the change is made again.
func (j *Judge) left(t *Trial, c Cluster, touched bool, last Answer) *policy.Finding {
	key := t.Change.Key
	if t.Finding.Rule.Code == "MF114" && t.Change.Old != nil && touched {
		return movedStill(t, c)
	}
	if touched && !slices.Contains(ofChange, t.Finding.Rule.Code) {
		if found := same(t.Finding, last.Findings()); found != nil && t.Finding.Rule.Code == "MF209" {
			return found // which is about a change
		}
		if c[key] == nil {
			return nil
		}
		return same(t.Finding, j.Of(c.alone(key), Change{Key: key, New: c[key]}).Findings())
	}
	again := t.Change
	if touched {
		again.Old = c[key]
	} else {
		c = c.alone(key).Put(key, t.Change.Old)
		for other, o := range t.Before { // what went with a deleted Istio
			if c[other] == nil && again.New == nil {
				c = c.With(o)
			}
		}
	}
	return same(t.Finding, j.Of(c, again).Findings())
}

// PartOf reports whether an object is part of the mesh of another one: what is said of it is repaired there.
func (c Cluster) PartOf(key, main Key) bool {
	m := mesh.NewFleet(c.objects()).MeshOf(mesh.Ref{Kind: key.Kind, Name: key.Name})
	return m != nil && m.Ref == (mesh.Ref{Kind: main.Kind, Name: main.Name})
}

// alone is Without for an object alone.
func (c Cluster) alone(key Key) Cluster {
	after := Cluster{}
	for other, o := range c {
		if other != key {
			after[other] = o
		}
	}
	return after
}

// movedStill returns the finding if a namespace is not discovered by whom it was before the change.
func movedStill(t *Trial, c Cluster) *policy.Finding {
	before, after := meshesOf(t.Before), meshesOf(c)
	for _, ns := range t.Before.namespaces() {
		if !slices.Equal(before(ns.Labels), after(ns.Labels)) {
			return &t.Finding
		}
	}
	return nil
}

// same returns the finding of the same rule about the same field, and about any of the same subjects, or nil.
func same(f policy.Finding, found []policy.Finding) *policy.Finding {
	for i := range found {
		g := &found[i]
		shared := len(f.Subjects) == 0 || slices.ContainsFunc(f.Subjects, func(s string) bool { return slices.Contains(g.Subjects, s) })
		if f.Rule.Code == "MF115" && len(f.Subjects) > 1 { // of which the first is the same for other meshes
			shared = slices.Equal(f.Subjects, g.Subjects)
		}
		if g.Rule.Code == f.Rule.Code && g.Field == f.Field && shared {
			return g
		}
	}
	return nil
}

// Change is what a request changes in a cluster.
func (r Request) Change(c Cluster) (Change, error) {
	stored := c[r.Key]
	switch {
	case r.Verb == Apply && stored == nil:
		created, err := NewObject(&unstructured.Unstructured{Object: r.Patch})
		return Change{Key: r.Key, New: created}, err
	case stored == nil:
		return Change{}, fmt.Errorf("there is no %s", r.Key)
	case r.Verb == Delete:
		return Change{Key: r.Key, Old: stored}, nil
	case r.keep && overwrites(stored, r.Patch):
		return Change{}, errors.New("it already has a value, and --overwrite is false")
	default:
		return Change{Key: r.Key, Old: stored, New: stored.merged(r.Patch)}, nil
	}
}

// overwrites reports whether a label or annotation has another value than the patch gives it.
func overwrites(o *Object, patch map[string]any) bool {
	metadata, _ := patch["metadata"].(map[string]any)
	for field, have := range map[string]map[string]string{"labels": o.GetLabels(), "annotations": o.GetAnnotations()} {
		changes, _ := metadata[field].(map[string]any)
		for key, value := range changes {
			if had, present := have[key]; present && value != nil && value != had {
				return true
			}
		}
	}
	return false
}
