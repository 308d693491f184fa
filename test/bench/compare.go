package main

import (
	"context"
	"fmt"
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
	p50, p90, p99, rate []float64 // milliseconds, requests a second
}

func (s *series) add(round sample) {
	for _, q := range []struct {
		to *[]float64
		q  float64
	}{{&s.p50, 0.5}, {&s.p90, 0.9}, {&s.p99, 0.99}} {
		*q.to = append(*q.to, float64(round.quantile(q.q))/float64(time.Millisecond))
	}
	s.rate = append(s.rate, round.rate())
}

// comparison measures targets in turns.
type comparison struct {
	cluster  *harness.Cluster
	clients  *clients
	targets  []*target
	requests int
	created  int

	series map[key]*series
	// cpu is the processor time, in seconds, that the target's process spent on 1,000 label patches (join, inject, leave, both), by round.
	cpu map[string][]float64
	// calls is how many webhooks the API server asked for one request, by round.
	calls map[key][]float64
}

func (c *comparison) concurrencies() []int { return []int{1, 8} }

// run measures so many rounds. Each round begins with another target, and one round before them warms up.
func (c *comparison) run(ctx context.Context, rounds int) error {
	c.series, c.cpu, c.calls = map[key]*series{}, map[string][]float64{}, map[key][]float64{}
	first := &load{clients: c.clients, requests: c.requests}
	if err := nobody().use(ctx, c.cluster); err != nil {
		return err
	}
	if err := first.prepare(ctx, c.requests); err != nil {
		return err
	}
	for round := -1; round < rounds; round++ {
		for i := range c.targets {
			if err := c.measure(ctx, c.targets[(i+max(round, 0))%len(c.targets)], round >= 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// measure runs every operation against one target.
func (c *comparison) measure(ctx context.Context, t *target, count bool) error {
	if err := t.use(ctx, c.cluster); err != nil {
		return err
	}
	begin := c.created
	for _, concurrency := range c.concurrencies() {
		l := &load{clients: c.clients, workers: concurrency, requests: c.requests, created: &c.created, fills: t.letter == "c" || t.letter == "d"}
		if err := l.refused(ctx); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		spent, err := c.measureOperations(ctx, t, l, count)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if count && concurrency == 1 && t.pid != 0 {
			c.cpu[t.letter] = append(c.cpu[t.letter], spent.Seconds()*1000/float64(4*c.requests))
		}
	}
	return (&load{clients: c.clients, created: &c.created}).clean(ctx, begin)
}

// measureOperations returns the processor time that the target spent on the label patches.
func (c *comparison) measureOperations(ctx context.Context, t *target, l *load, count bool) (spent time.Duration, err error) {
	for _, op := range operations() {
		if op == inject {
			if _, err := l.run(ctx, drop); err != nil {
				return 0, err
			}
		}
		before, err := spentBy(t.pid)
		if err != nil {
			return 0, err
		}
		asked, err := webhooksAsked(ctx, c.clients)
		if err != nil {
			return 0, err
		}
		round, err := l.run(ctx, op)
		if err != nil {
			return 0, err
		}
		after, err := spentBy(t.pid)
		if err != nil {
			return 0, err
		}
		askedAfter, err := webhooksAsked(ctx, c.clients)
		if err != nil {
			return 0, err
		}
		if op == join || op == inject || op == leave || op == both {
			spent += after - before
		}
		if op == both { // as it was before
			if _, err := l.run(ctx, leave); err != nil {
				return 0, err
			}
		}
		if count {
			k := key{t.letter, op, l.workers}
			c.at(k).add(round)
			c.calls[k] = append(c.calls[k], (askedAfter-asked)/float64(l.requests))
		}
	}
	return spent, nil
}

func spentBy(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	return cpu(pid)
}

func (c *comparison) at(k key) *series {
	if c.series[k] == nil {
		c.series[k] = &series{}
	}
	return c.series[k]
}

// webhooksAsked is how often the API server has asked any webhook since its start, by its own count.
func webhooksAsked(ctx context.Context, c *clients) (float64, error) {
	page, err := c.kube.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return 0, err
	}
	total := 0.0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "apiserver_admission_webhook_admission_duration_seconds_count{") {
			continue
		}
		count, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, "}")+1:]), 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", line, err)
		}
		total += count
	}
	return total, nil
}
