package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshfence/meshfence/test/harness"
)

// key names one series of measurements.
type key struct {
	target      string
	op          operation
	concurrency int
}

// series are the measurements of one target, operation and concurrency, by round.
type series struct {
	p50, p90, rate []float64 // milliseconds, requests a second
	// all are the latencies of all rounds: one round has too few for a p99.
	all sample
}

func (s *series) add(round sample) {
	for _, q := range []struct {
		to *[]float64
		q  float64
	}{{&s.p50, 0.5}, {&s.p90, 0.9}} {
		*q.to = append(*q.to, float64(round.quantile(q.q))/float64(time.Millisecond))
	}
	s.rate = append(s.rate, round.rate())
	s.all.latencies = append(s.all.latencies, round.latencies...)
}

// enough is how many requests a p99 is taken of at least.
const enough = 1000

// p99 is that of all rounds together, in milliseconds; not ok if there were too few requests to have one.
func (s *series) p99() (milliseconds float64, ok bool) {
	if len(s.all.latencies) < enough {
		return 0, false
	}
	return float64(s.all.quantile(0.99)) / float64(time.Millisecond), true
}

// patches are the operations whose processor time is measured.
func patches() []operation { return []operation{join, inject, leave, both} }

// perCall is the processor time, in microseconds, that a target spent on one call, by round.
func (c *comparison) perCall(t *target) []float64 {
	var all []float64
	for round, spent := range c.cpu[t.letter] {
		calls := 0.0
		for _, op := range patches() {
			calls += c.calls[key{t.letter, op, 1}][round]
		}
		all = append(all, spent*1000*float64(len(patches()))/calls)
	}
	return all
}

// comparison measures targets in turns.
type comparison struct {
	cluster  *harness.Cluster
	clients  *clients
	targets  []*target
	requests int

	loads  []*load // of the targets
	series map[key]*series
	// cpu is the processor time, in seconds, that the target's process spent on 1,000 label patches (join, inject, leave, both), by round.
	cpu map[string][]float64
	// calls is how many webhooks the API server asked for one request, by round.
	calls map[key][]float64
	// conditions is how many microseconds the API server spent on evaluating match conditions for one request, by round.
	conditions map[key][]float64
}

func (c *comparison) concurrencies() []int { return []int{1, 8} }

// run measures so many rounds, and one before them that warms up.
func (c *comparison) run(ctx context.Context, rounds int) error {
	c.series, c.cpu, c.calls, c.conditions = map[key]*series{}, map[string][]float64{}, map[key][]float64{}, map[key][]float64{}
	for _, t := range c.targets {
		c.loads = append(c.loads, &load{clients: c.clients, target: t})
	}
	for _, l := range c.loads {
		if err := l.prepare(ctx, c.requests); err != nil {
			return err
		}
	}
	if err := share(ctx, c.cluster, c.targets); err != nil {
		return err
	}
	for round := -1; round < rounds; round++ {
		if err := c.round(ctx, round); err != nil {
			return err
		}
	}
	return retire(ctx, c.cluster, c.targets)
}

// round measures everything once. The round -1 does not count, and is shorter.
func (c *comparison) round(ctx context.Context, round int) error {
	requests := c.requests
	if round < 0 {
		requests /= 3
	}
	made := map[*load]int{}
	for _, l := range c.loads {
		made[l] = l.created
		if err := l.refused(ctx); err != nil {
			return fmt.Errorf("%s: %w", l.target.name, err)
		}
	}
	for _, concurrency := range c.concurrencies() {
		if err := c.measureLatencies(ctx, round, requests, concurrency); err != nil {
			return err
		}
	}
	if err := c.measureProcessorTime(ctx, round, requests); err != nil {
		return err
	}
	for _, l := range c.loads {
		if err := l.clean(ctx, made[l]); err != nil {
			return err
		}
	}
	return nil
}

// measureLatencies sends every operation to every target. The targets take turns: one request each, or with several at
// once a few dozen each, as requests of other targets at the same time would be measured too.
func (c *comparison) measureLatencies(ctx context.Context, round, requests, concurrency int) error {
	stretch := 1
	if concurrency > 1 {
		stretch = max(1, requests/3)
	}
	for _, op := range operations() {
		if op == inject {
			if err := c.alternate(ctx, drop, round, requests, stretch, concurrency, nil); err != nil {
				return err
			}
		}
		before, err := countWebhooks(ctx, c.clients)
		if err != nil {
			return err
		}
		samples := map[string]*sample{}
		if err := c.alternate(ctx, op, round, requests, stretch, concurrency, samples); err != nil {
			return err
		}
		after, err := countWebhooks(ctx, c.clients)
		if err != nil {
			return err
		}
		if op == both { // as it was before
			if err := c.alternate(ctx, leave, round, requests, stretch, concurrency, nil); err != nil {
				return err
			}
		}
		if round < 0 {
			continue
		}
		for _, t := range c.measured(op) {
			k := key{t.letter, op, concurrency}
			c.at(k).add(*samples[t.letter])
			c.calls[k] = append(c.calls[k], (t.sum(after.asked)-t.sum(before.asked))/float64(requests))
			c.conditions[k] = append(c.conditions[k], (t.sum(after.evaluated)-t.sum(before.evaluated))*1e6/float64(requests))
		}
	}
	return nil
}

// alternate sends one operation to all targets in turns, each turn beginning with another one.
func (c *comparison) alternate(ctx context.Context, op operation, round, requests, stretch, workers int, samples map[string]*sample) error {
	loads := slices.DeleteFunc(slices.Clone(c.loads), func(l *load) bool { return !l.target.takes(op) })
	for turn, first := 0, 0; first < requests; turn, first = turn+1, first+stretch {
		for i := range loads {
			if turn%2 == 1 { // so that none always comes after the same other one
				i = len(loads) - 1 - i
			}
			l := loads[(i+turn+round+1)%len(loads)]
			s := samples[l.target.letter]
			if s == nil {
				s = &sample{}
			}
			if samples != nil {
				samples[l.target.letter] = s
			}
			if err := l.run(ctx, op, first, min(requests, first+stretch), workers, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// measureProcessorTime sends the label patches to one target after another: a meshfence also sees what happens to the
// namespaces of others, which would be counted in turns of single requests.
func (c *comparison) measureProcessorTime(ctx context.Context, round, requests int) error {
	for i := range c.loads {
		l := c.loads[(i+round+1)%len(c.loads)]
		if l.target.pid == 0 || l.target.measures != nil {
			continue
		}
		spent := time.Duration(0)
		for i, op := range []operation{join, drop, inject, leave, both, leave} {
			before, err := cpu(l.target.pid)
			if err != nil {
				return err
			}
			if err := l.run(ctx, op, 0, requests, 1, &sample{}); err != nil {
				return err
			}
			after, err := cpu(l.target.pid)
			if err != nil {
				return err
			}
			if counts := op != drop && i < 5; counts { // the last makes room for the next round
				spent += after - before
			}
		}
		if round >= 0 {
			c.cpu[l.target.letter] = append(c.cpu[l.target.letter], spent.Seconds()*1000/float64(4*requests))
		}
	}
	return nil
}

// measured are the targets of which an operation is measured.
func (c *comparison) measured(op operation) []*target {
	return slices.DeleteFunc(slices.Clone(c.targets), func(t *target) bool { return t.measures != nil && !slices.Contains(t.measures, op) })
}

func (c *comparison) at(k key) *series {
	if c.series[k] == nil {
		c.series[k] = &series{}
	}
	return c.series[k]
}

// webhookCounts is what the API server has counted for each webhook since its start.
type webhookCounts struct {
	// asked is how often it was asked; evaluated how many seconds the evaluation of its match conditions took.
	asked, evaluated map[string]float64
}

// sum adds up one of the counts of a target's webhooks.
func (t *target) sum(counted map[string]float64) float64 {
	total := 0.0
	for _, hook := range t.validating {
		total += counted[t.hook(hook.Name)]
	}
	for _, hook := range t.mutating {
		total += counted[t.hook(hook.Name)]
	}
	return total
}

func countWebhooks(ctx context.Context, c *clients) (webhookCounts, error) {
	counts := webhookCounts{asked: map[string]float64{}, evaluated: map[string]float64{}}
	page, err := c.kube.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return counts, err
	}
	for metric, into := range map[string]map[string]float64{
		"apiserver_admission_webhook_admission_duration_seconds_count{": counts.asked,
		"apiserver_admission_match_condition_evaluation_seconds_sum{":   counts.evaluated,
	} {
		if err := addUp(string(page), metric, into); err != nil {
			return counts, err
		}
	}
	return counts, nil
}

// addUp adds the values of a metric to those of the name that its label gives.
func addUp(page, metric string, into map[string]float64) error {
	for line := range strings.Lines(page) {
		labels, found := strings.CutPrefix(line, metric)
		if !found {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, "}")+1:]), 64)
		if err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		_, name, _ := strings.Cut(labels, `name="`)
		name, _, _ = strings.Cut(name, `"`)
		into[name] += value
	}
	return nil
}
