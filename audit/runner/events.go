package runner

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"github.com/meshfence/meshfence/audit/history"
	"github.com/meshfence/meshfence/webhook/cluster/events"
)

// maxEvents is how many events a run writes at most. What has none is in the metrics, in the reports and in what check prints.
const maxEvents = 50

// Actions of events.
const (
	found = "Found"
	gone  = "Gone"
)

// EventRecorder records events; package events has it.
type EventRecorder interface {
	Record(ctx context.Context, all []events.Event) error
}

// Events tells of findings on the objects that they are about: when one appears, and when it goes.
type Events struct{ Recorder EventRecorder }

// Publish implements Publisher.
func (e Events) Publish(ctx context.Context, o *Outcome) error {
	all := eventsOf(o)
	if left := len(all) - maxEvents; left > 0 {
		logr.FromContextOrDiscard(ctx).Info("not all that has changed has an event", "written", maxEvents, "leftOut", left)
		all = all[:maxEvents]
	}
	return e.Recorder.Record(ctx, all)
}

// eventsOf are the events of a run: what is new, first what would be denied; then what is gone.
func eventsOf(o *Outcome) []events.Event {
	var all []events.Event
	news := slices.Clone(o.New)
	slices.SortStableFunc(news, func(a, b history.Finding) int { return int(b.Action) - int(a.Action) })
	for _, f := range news {
		all = append(all, events.Event{
			Kind: f.Kind, Namespace: f.Namespace, Name: f.Name, Warning: true, Reason: f.Rule.Name, Action: found, Note: f.Line(events.MaxNote),
		})
	}
	for _, r := range o.Gone {
		note := fmt.Sprintf("%s %s is no longer so; first seen %s", r.Rule.Code, r.Rule.Name, r.Since.UTC().Format(time.RFC3339))
		all = append(all, events.Event{Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, Reason: r.Rule.Name, Action: gone, Note: note})
	}
	return all
}
