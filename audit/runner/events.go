package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/meshfence/meshfence/audit/history"
	"github.com/meshfence/meshfence/webhook/cluster/events"
)

// maxEvents is how many events a run writes at most, and maxTelling how long that may take. What has none yet is in the metrics, in the reports and in what check prints.
const (
	maxEvents  = 50
	maxTelling = time.Minute
)

// Actions of events.
const (
	found = "Found"
	gone  = "Gone"
)

// EventRecorder records an event; package events has it.
type EventRecorder interface {
	Record(ctx context.Context, e events.Event) error
}

// Events tells of findings on the objects that they are about: when one appears, and when it goes. What could not be told, or had no room, is told after a later run, perhaps of
// another replica, if it is still so.
type Events struct {
	Recorder EventRecorder

	// failed is how often each has failed that still has to be told. Those come last: one that is always refused takes no room from others.
	failed map[about]int
}

// about is what an event is about: that something about an object, by the name of a rule, was found or is gone.
type about struct{ action, kind, namespace, name, rule string }

// story is an event, and what is told once it is written: findings by their fingerprints, or what is gone.
type story struct {
	about
	event    events.Event
	findings []string
	gone     []history.Record
}

// tell writes events, and returns the fingerprints of what is told, and what is gone of which it could not tell.
func (e *Events) tell(ctx context.Context, o *Outcome) (told []string, again []history.Record, err error) {
	all := e.inOrder(storiesOf(o))
	if later := len(all) - maxEvents; later > 0 {
		logr.FromContextOrDiscard(ctx).Info("not all that has changed has an event yet", "written", maxEvents, "later", later)
	}
	ctx, cancel := context.WithTimeout(ctx, maxTelling)
	defer cancel()
	var problems []error
	failed := map[about]int{}
	for i, s := range all {
		if i < maxEvents {
			if err := e.Recorder.Record(ctx, s.event); err == nil {
				told = append(told, s.findings...)
				continue
			} else {
				problems, failed[s.about] = append(problems, err), e.failed[s.about]+1
			}
		} else if n := e.failed[s.about]; n > 0 {
			failed[s.about] = n
		}
		again = append(again, s.gone...)
	}
	e.failed = failed
	return told, again, errors.Join(problems...)
}

// inOrder has those first that have failed least, with rules and namespaces in turns.
func (e *Events) inOrder(all []story) []story {
	all = history.InTurns(all, func(s story) string {
		return strings.Join([]string{s.action, s.rule, history.Place(s.kind, s.namespace, s.name)}, "/")
	})
	slices.SortStableFunc(all, func(a, b story) int { return cmp.Compare(e.failed[a.about], e.failed[b.about]) })
	return all
}

// storiesOf are what is to be told of a run: what is not told yet, first what would be denied; then what is gone. Several findings of one rule about one object are one event, and
// none of them is gone for people as long as one of them is there.
func storiesOf(o *Outcome) []story {
	groups := map[about][]history.Finding{}
	var order []about
	untold := slices.Clone(o.Untold)
	slices.SortStableFunc(untold, func(a, b history.Finding) int { return int(b.Action) - int(a.Action) })
	for _, f := range untold {
		key := about{found, f.Kind, f.Namespace, f.Name, f.Rule.Name}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], f)
	}
	var all []story
	for _, key := range order {
		s := story{about: key, event: events.Event{
			Kind: key.kind, Namespace: key.namespace, Name: key.name, Warning: true, Reason: key.rule, Action: found, Note: note(groups[key]),
		}}
		for _, f := range groups[key] {
			s.findings = append(s.findings, f.Fingerprint)
		}
		all = append(all, s)
	}
	return append(all, goneOf(o)...)
}

// goneOf are what is to be told of what is gone.
func goneOf(o *Outcome) []story {
	still := map[about]bool{}
	for _, f := range o.Findings {
		still[about{gone, f.Kind, f.Namespace, f.Name, f.Rule.Name}] = true
	}
	at := map[about]int{}
	var all []story
	for _, r := range o.Gone {
		key := about{gone, r.Kind, r.Namespace, r.Name, r.Rule.Name}
		if !r.Told || still[key] {
			continue
		}
		i, there := at[key]
		if !there {
			i, at[key] = len(all), len(all)
			text := fmt.Sprintf("%s %s is no longer so; first seen %s", r.Rule.Code, r.Rule.Name, r.Since.UTC().Format(time.RFC3339))
			all = append(all, story{about: key, event: events.Event{
				Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, Reason: r.Rule.Name, Action: gone, Note: text,
			}})
		}
		all[i].gone = append(all[i].gone, r)
	}
	return all
}

// note says what was found; what there is no room for it says to be there.
func note(findings []history.Finding) string {
	const also, more = "; also: ", "; and more"
	if len(findings) == 1 {
		return findings[0].Line(events.MaxNote)
	}
	text := findings[0].Line(events.MaxNote - len(more))
	for _, f := range findings[1:] {
		if len(text)+len(also)+len(f.Detail)+len(more) > events.MaxNote {
			return text + more
		}
		text += also + f.Detail
	}
	return text
}
