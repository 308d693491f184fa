package runner

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// times are when a trigger let runs go, after begin, until it was stopped.
func times(t *testing.T, interval, delay, until time.Duration, happens map[time.Duration]uint64) []time.Duration {
	t.Helper()
	var all []time.Duration
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), until)
		defer cancel()
		changed, begin := make(chan struct{}, 1), time.Now()
		var state atomic.Uint64
		for after, stamp := range happens {
			time.AfterFunc(after, func() {
				state.Store(stamp)
				select {
				case changed <- struct{}{}:
				default:
				}
			})
		}
		for at := (trigger{changed: changed, interval: interval, delay: delay, stamp: func(context.Context) uint64 { return state.Load() }}); at.next(ctx); {
			all = append(all, time.Since(begin))
		}
	})
	return all
}

func TestRunsFollowOneAnotherAndChanges(t *testing.T) {
	for name, test := range map[string]struct {
		happens map[time.Duration]uint64
		want    []time.Duration
	}{
		"at once, and every interval": {nil, []time.Duration{0, 10 * time.Minute, 20 * time.Minute}},
		"after a change":              {map[time.Duration]uint64{time.Minute: 1}, []time.Duration{0, 90 * time.Second, 690 * time.Second, 1290 * time.Second}},
		"not for a change that means nothing": {
			map[time.Duration]uint64{time.Minute: 0}, []time.Duration{0, 10 * time.Minute, 20 * time.Minute},
		},
		"changes that follow one another do not put it off": {
			map[time.Duration]uint64{60 * time.Second: 1, 80 * time.Second: 2, 85 * time.Second: 3, 95 * time.Second: 4},
			[]time.Duration{0, 90 * time.Second, 125 * time.Second, 725 * time.Second, 1325 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := times(t, 10*time.Minute, 30*time.Second, 25*time.Minute, test.happens)
			if len(got) != len(test.want) {
				t.Fatalf("got %v, want %v", got, test.want)
			}
			for i := range got {
				if got[i] != test.want[i] {
					t.Errorf("got %v, want %v", got, test.want)
				}
			}
		})
	}
}
