package main

import (
	"math"
	"slices"
	"time"
)

// sample is what one round measured of one operation.
type sample struct {
	latencies []time.Duration
	// wall is how long all of them took together.
	wall time.Duration
}

// quantile returns the latency below which the part q of all lie, by the nearest rank.
func (s sample) quantile(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(s.latencies))
	return sorted[min(len(sorted)-1, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// rate is in requests a second.
func (s sample) rate() float64 { return float64(len(s.latencies)) / s.wall.Seconds() }

// figure is a value measured in several rounds: the median, and the least and the greatest.
type figure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func newFigure(values []float64) figure {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return figure{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// single is a figure that was measured once.
func single(value float64) figure { return figure{value, value, value} }

// ratio compares two series round by round, so that a busy moment of the machine, which hits both, counts for neither.
func ratio(of, to []float64) figure {
	ratios := make([]float64, len(of))
	for i := range of {
		ratios[i] = of[i] / to[i]
	}
	return newFigure(ratios)
}
