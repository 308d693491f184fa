package runner

import (
	"context"
	"time"
)

// trigger says when the audit runs: at once, then every interval, and some time after a change.
type trigger struct {
	changed         <-chan struct{}
	interval, delay time.Duration
	// stamp tells states apart that are judged differently; the audit does not run for a change that leaves it the same.
	stamp func(ctx context.Context) uint64

	begun bool
	last  uint64
}

// next waits for the next run. It reports false when ctx has ended.
func (t *trigger) next(ctx context.Context) bool {
	if !t.begun {
		t.begun, t.last = true, t.stamp(ctx)
		return ctx.Err() == nil
	}
	regular := time.NewTimer(t.interval)
	defer regular.Stop()
	var soon <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return false
		case <-regular.C:
			t.last = t.stamp(ctx)
			return ctx.Err() == nil
		case <-t.changed:
			if soon == nil { // changes that follow one another do not put the run off
				soon = time.After(t.delay)
			}
		case <-soon:
			soon = nil
			if stamp := t.stamp(ctx); stamp != t.last {
				t.last = stamp
				return ctx.Err() == nil
			}
		}
	}
}
