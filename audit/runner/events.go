package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/meshfence/meshfence/audit/history"
	"github.com/meshfence/meshfence/webhook/cluster/events"
)

// maxEvents is how many events a run writes at most. What has none yet is in the metrics, in the reports and in what check prints.
const maxEvents = 50

// Actions of events.
const (
	found = "Found"
	gone  = "Gone"
)

// maxUntold is how many are kept for the next runs.
const maxUntold = 1000

// EventRecorder records events, and returns those that it could not; package events has it.
type EventRecorder interface {
	Record(ctx context.Context, all []events.Event) (left []events.Event, err error)
}

// Events tells of findings on the objects that they are about: when one appears, and when it goes. What could not be told, or had no room, is told after the next run, if it is
// still so.
type Events struct {
	Recorder EventRecorder

	untold []events.Event
}

// Publish implements Publisher.
func (e *Events) Publish(ctx context.Context, o *Outcome) error {
	all := history.InTurns(append(stillSo(e.untold, o), eventsOf(o)...), func(e events.Event) string {
		return strings.Join([]string{e.Action, e.Reason, history.Place(e.Kind, e.Namespace, e.Name)}, "/")
	})
	now := all[:min(len(all), maxEvents)]
	rest := all[len(now):]
	if len(rest) > 0 {
		logr.FromContextOrDiscard(ctx).Info("not all that has changed has an event yet", "written", len(now), "later", len(rest))
	}
	left, err := e.Recorder.Record(ctx, now)
	e.untold = append(slices.Clone(left), rest...)
	e.untold = e.untold[:min(len(e.untold), maxUntold)]
	return err
}

// about is what an event is about: a rule and an object.
type about struct{ kind, namespace, name, rule string }

// stillSo are the events that were not told and that are still so after a run.
func stillSo(untold []events.Event, o *Outcome) []events.Event {
	wrong := map[about]bool{}
	for _, f := range o.Findings {
		wrong[about{f.Kind, f.Namespace, f.Name, f.Rule.Name}] = !f.Accepted
	}
	var all []events.Event
	for _, e := range untold {
		if (e.Action == found) == wrong[about{e.Kind, e.Namespace, e.Name, e.Reason}] {
			all = append(all, e)
		}
	}
	return all
}

// eventsOf are the events of a run: what is new, first what would be denied; then what is gone. Several findings of one rule about one object are one event.
func eventsOf(o *Outcome) []events.Event {
	var all []events.Event
	news := slices.Clone(o.New)
	slices.SortStableFunc(news, func(a, b history.Finding) int { return int(b.Action) - int(a.Action) })
	at := map[about]int{}
	for _, f := range news {
		key := about{f.Kind, f.Namespace, f.Name, f.Rule.Name}
		if i, there := at[key]; there {
			all[i].Note = joined(all[i].Note, f.Detail)
			continue
		}
		at[key] = len(all)
		all = append(all, events.Event{
			Kind: f.Kind, Namespace: f.Namespace, Name: f.Name, Warning: true, Reason: f.Rule.Name, Action: found, Note: f.Line(events.MaxNote),
		})
	}
	clear(at)
	for _, r := range o.Gone {
		key := about{r.Kind, r.Namespace, r.Name, r.Rule.Name}
		if _, there := at[key]; there {
			continue
		}
		at[key] = len(all)
		note := fmt.Sprintf("%s %s is no longer so; first seen %s", r.Rule.Code, r.Rule.Name, r.Since.UTC().Format(time.RFC3339))
		all = append(all, events.Event{Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, Reason: r.Rule.Name, Action: gone, Note: note})
	}
	return all
}

// joined is a note with a further finding, or with word of it where there is no room.
func joined(note, detail string) string {
	const also, more = "; also: ", "; and more"
	switch {
	case len(note)+len(also)+len(detail)+len(more) <= events.MaxNote:
		return note + also + detail
	case len(note)+len(more) <= events.MaxNote && !strings.HasSuffix(note, more):
		return note + more
	default:
		return note
	}
}
