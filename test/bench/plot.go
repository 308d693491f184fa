package main

import (
	"fmt"
	"math"
	"strings"
)

// plot is a line over a logarithmic axis of sizes.
type plot struct {
	title, xTitle string
	x, y          []float64
}

const (
	plotWidth, plotHeight         = 640.0, 320.0
	plotLeft, plotTop, plotBottom = 70.0, 40.0, 50.0
	plotRight                     = 20.0
)

// plots are the curves of growth: one for each measurement over namespaces, and over meshes.
func (r *report) plots() map[string]plot {
	measures := []struct {
		file, title string
		of          func(point) float64
	}{
		{"resident", "resident memory, MiB", func(p point) float64 { return p.ResidentMiB.Median }},
		{"start", "start to first right answer, ms", func(p point) float64 { return p.StartMillis.Median }},
		{"review", "one AdmissionReview over loopback, µs", func(p point) float64 { return p.ReviewMicros.Median }},
		{"istio", "UPDATE of an Istio, ms", func(p point) float64 { return p.IstioMillis.Median }},
	}
	all := map[string]plot{}
	for _, m := range measures {
		byNamespaces, byMeshes := plot{title: m.title, xTitle: "namespaces (100 meshes)"}, plot{title: m.title, xTitle: "meshes (10 namespaces)"}
		for _, p := range r.Growth {
			if p.Meshes == fullMeshes {
				byNamespaces.x, byNamespaces.y = append(byNamespaces.x, float64(p.Namespaces)), append(byNamespaces.y, m.of(p))
			}
			if p.Namespaces == fewNamespaces {
				byMeshes.x, byMeshes.y = append(byMeshes.x, float64(p.Meshes)), append(byMeshes.y, m.of(p))
			}
		}
		all[m.file+"-by-namespaces.svg"], all[m.file+"-by-meshes.svg"] = byNamespaces, byMeshes
	}
	return all
}

// svg draws the plot. The vertical axis begins at 0, so that nothing looks steeper than it is.
func (p plot) svg() string {
	top := 0.0
	for _, y := range p.y {
		top = math.Max(top, y)
	}
	top *= 1.1
	first, last := math.Log10(p.x[0]), math.Log10(p.x[len(p.x)-1])
	at := func(x, y float64) (float64, float64) {
		return plotLeft + (math.Log10(x)-first)/(last-first)*(plotWidth-plotLeft-plotRight), plotHeight - plotBottom - y/top*(plotHeight-plotTop-plotBottom)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%.0f" y="22" font-size="14">%s</text>`+"\n", plotLeft, p.title)
	for i := range 5 {
		value := top * float64(i) / 4
		_, y := at(p.x[0], value)
		fmt.Fprintf(&b, `<path d="M%.0f %.1fH%.0f" stroke="#ddd"/><text x="%.0f" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft, y, plotWidth-plotRight, plotLeft-8, y+4, number(value))
	}
	var line strings.Builder
	for i := range p.x {
		x, y := at(p.x[i], p.y[i])
		fmt.Fprintf(&line, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], x, y)
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4" fill="#06c"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", x, y, x, y-10, number(p.y[i]))
		fmt.Fprintf(&b, `<text x="%.1f" y="%.0f" text-anchor="middle">%.0f</text>`+"\n", x, plotHeight-plotBottom+18, p.x[i])
	}
	fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="#06c" stroke-width="2"/>`+"\n", line.String())
	fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="middle">%s</text></svg>`+"\n", plotWidth/2, plotHeight-10, p.xTitle)
	return b.String()
}
