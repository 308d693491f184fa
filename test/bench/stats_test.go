package main

import (
	"testing"
	"time"
)

func TestQuantilesAreNearestRanks(t *testing.T) {
	s := sample{wall: 2 * time.Second}
	for i := range 100 {
		s.latencies = append(s.latencies, time.Duration(100-i)*time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 50 * time.Millisecond, 0.99: 99 * time.Millisecond, 1: 100 * time.Millisecond} {
		if got := s.quantile(q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := s.rate(); got != 50 {
		t.Errorf("rate %v, want 50", got)
	}
}

func TestAFigureIsTheMedianWithItsRange(t *testing.T) {
	if got, want := newFigure([]float64{4, 1, 2, 3}), (figure{2.5, 1, 4}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := newFigure([]float64{4, 1, 2}), (figure{2, 1, 4}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestARatioIsTakenRoundByRound(t *testing.T) {
	// A machine twice as slow in the second round is no difference.
	if got, want := ratio([]float64{1, 2, 1}, []float64{2, 4, 2}), (figure{0.5, 0.5, 0.5}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestWhatMustNotHappenIsMissedIfItHappensInOneRound(t *testing.T) {
	for _, test := range []struct {
		rounds []float64
		want   string
	}{{[]float64{0, 0, 0}, "met"}, {[]float64{0, 0, 0.01}, "missed"}} {
		if got := (row{Figure: newFigure(test.rounds), Never: true}); got.verdict() != test.want || got.bound() != "0" {
			t.Errorf("%v: %s, target %s", test.rounds, got.verdict(), got.bound())
		}
	}
}

func TestATargetIsMetOrMissedByAllRoundsAndElseOpen(t *testing.T) {
	for _, test := range []struct {
		rounds  []float64
		atLeast bool
		want    string
	}{
		{[]float64{1, 1.1, 1.2}, false, "met"}, {[]float64{1.1, 1.15, 1.3}, false, "open"}, {[]float64{1.21, 1.3, 1.4}, false, "missed"},
		{[]float64{1.2, 1.3}, true, "met"}, {[]float64{1.1, 1.3}, true, "open"}, {[]float64{1, 1.1}, true, "missed"},
	} {
		if got := (row{Figure: newFigure(test.rounds), Target: 1.2, AtLeast: test.atLeast}).verdict(); got != test.want {
			t.Errorf("%v, at least %v: %s, want %s", test.rounds, test.atLeast, got, test.want)
		}
	}
	if got := (row{Figure: single(5)}).verdict(); got != "" {
		t.Errorf("a verdict without a target: %s", got)
	}
}

func TestAP99IsTakenOfEnoughRequestsOnly(t *testing.T) {
	s := &series{}
	for round := range 4 {
		latencies := make([]time.Duration, 249)
		for i := range latencies {
			latencies[i] = time.Duration(round*249+i+1) * time.Millisecond
		}
		s.add(sample{latencies: latencies, wall: time.Second})
	}
	if p99, ok := s.p99(); ok {
		t.Errorf("%v of 996", p99)
	}
	s.add(sample{latencies: make([]time.Duration, 4), wall: time.Second})
	if p99, ok := s.p99(); !ok || p99 != 986 {
		t.Errorf("%v, %v of 1,000, want 986", p99, ok)
	}
}
