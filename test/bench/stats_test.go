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
