package monitoring

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

var update = flag.Bool("update", false, "draw docs/dashboard.svg anew")

// example are six hours of a cluster: two meshes, of which one accepts plain text; a namespace is labelled wrongly after three hours, refused again and again, and repaired
// after four; the audit moves to another replica after five.
var example = []string{
	finding("MF901", "warn", of) + " 1x600 _x119", finding("MF901", "warn", other) + " _x602 1x118",
	finding("MF202", "deny", of) + " _x360 2x120", finding("MF205", "accepted", of) + " 1x600", finding("MF205", "accepted", other) + " _x602 1x118",
	`meshfence_namespaces{` + of + `,mesh="mesh-1",state="injected"} 12x360 10x120 12x119`, `meshfence_namespaces{` + other + `,mesh="mesh-1",state="injected"} _x602 12x118`,
	`meshfence_namespaces{` + of + `,mesh="mesh-1",state="mismatched"} _x360 2x120`,
	`meshfence_namespaces{` + of + `,mesh="mesh-2",state="injected"} 7x600`, `meshfence_namespaces{` + other + `,mesh="mesh-2",state="injected"} _x602 8x118`,
	`meshfence_namespaces{` + of + `,mesh="",state="outside"} 5x600`, `meshfence_namespaces{` + other + `,mesh="",state="outside"} _x602 5x118`,
	`meshfence_audit_last_success_timestamp_seconds{` + of + `} ` + every(20, 600, 0), `meshfence_audit_last_success_timestamp_seconds{` + other + `} _x602 ` + every(20, 118, 18060),
	`meshfence_audit_partial{` + of + `} 0x600`, `meshfence_audit_partial{` + other + `} _x602 0x118`,
	`meshfence_audit_duration_seconds{` + of + `} 1.2x300 1.5x299`, `meshfence_audit_duration_seconds{` + other + `} _x602 1.3x118`, `meshfence_audit_errors_total{` + of + `} 0x720`,
	`meshfence_admissions_total{` + of + `,answer="allow"} 0+3x720`, `meshfence_admissions_total{` + of + `,answer="warn"} 0+0.2x720`, `meshfence_admissions_total{` + of + `,answer="deny"} 0x360 0+1x120 120x240`,
	`meshfence_findings_total{` + of + `,answer="deny",rule="MF202",resource="namespaces"} 0x360 0+1x120 120x240`,
	`meshfence_admission_duration_seconds_bucket{` + of + `,path="/validate/namespace",le="0.005"} 0+9.95x720`, `meshfence_admission_duration_seconds_bucket{` + of + `,path="/validate/namespace",le="+Inf"} 0+10x720`,
	`meshfence_admission_duration_seconds_bucket{` + of + `,path="/validate/namespace",le="0.01"} 0+10x720`,
	`meshfence_admission_duration_seconds_bucket{` + of + `,path="/validate/istio",le="0.05"} 0+1x720`, `meshfence_admission_duration_seconds_bucket{` + of + `,path="/validate/istio",le="+Inf"} 0+1x720`,
	`meshfence_admission_duration_seconds_bucket{` + of + `,path="/validate/istio",le="0.01"} 0+0.2x720`,
	`meshfence_fills_total{` + of + `} 0+0.1x720`, `meshfence_fill_removals_total{` + of + `} 0+0.02x720`, `meshfence_overrides_total{` + of + `,answer="granted"} 0x400 1x320`,
	`meshfence_certificate_expiry_timestamp_seconds{` + of + `} 5205600x720`, `meshfence_configuration_valid{` + of + `} 1x720`, `meshfence_mesh_map_bad_entries{` + of + `} 0x720`,
	`meshfence_ledger_open_claims{` + of + `} 0x100 1x5 0x300 2x4 0x311`, `meshfence_ledger_conflicts_total{` + of + `} 0x405 1x315`,
	`process_resident_memory_bytes{` + of + `,job="meshfence"} 42000000x720`, `process_resident_memory_bytes{` + other + `,job="meshfence"} 39000000x602 44000000x118`,
}

// every is a series whose value is the time of its last step of so many, in seconds, from a first value.
func every(steps, length, first int) string {
	var text []string
	for at := 0; at < length; at += steps {
		text = append(text, fmt.Sprintf("%dx%d", first+at*30, min(steps, length-at)-1))
	}
	return strings.Join(text, " ")
}

// drawn is a panel with all that the drawing needs.
type drawn struct {
	panel
	Unit       string
	Thresholds []threshold
	Legends    []string
}

type threshold struct {
	Color string
	Value *float64
}

// The picture in docs is what the dashboard's own expressions give for the example, drawn by hand: no Grafana is needed to see what it shows.
func TestThePictureOfTheDashboard(t *testing.T) {
	loaded := promqltest.LoadedStorage(t, "load 30s\n  "+strings.Join(example, "\n  "))
	p := painter{t: t, storage: loaded, engine: promqltest.NewTestEngine(t, false, 0, 1000000), end: time.Unix(0, 0).Add(6 * time.Hour)}
	got := p.draw(drawings(t))
	path := filepath.Join(root, "docs", "dashboard.svg")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("docs/dashboard.svg is another one (%v): go test -run Picture -update, in test/monitoring", err)
	}
	if p.series < 25 {
		t.Errorf("it shows %d series", p.series)
	}
}

func drawings(t *testing.T) []drawn {
	t.Helper()
	var d struct {
		Panels []struct {
			panel
			FieldConfig struct {
				Defaults struct {
					Unit       string
					Thresholds struct{ Steps []threshold }
				}
			}
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(file(t), &d); err != nil {
		t.Fatal(err)
	}
	var all []drawn
	for _, p := range d.Panels {
		one := drawn{panel: p.panel, Unit: p.FieldConfig.Defaults.Unit, Thresholds: p.FieldConfig.Defaults.Thresholds.Steps}
		one.Targets = nil
		for _, target := range p.Targets {
			one.Targets = append(one.Targets, struct{ Expr string }{target.Expr})
			one.Legends = append(one.Legends, target.LegendFormat)
		}
		all = append(all, one)
	}
	return all
}

// painter draws panels of a storage.
type painter struct {
	t       *testing.T
	storage storage.Queryable
	engine  *promql.Engine
	end     time.Time
	series  int
	b       strings.Builder
}

const (
	column, line = 50, 34 // pixels of a column and a line of the grid
	gap          = 8
)

func (p *painter) draw(panels []drawn) string {
	height := 0
	for i := range panels {
		height = max(height, (panels[i].GridPos.Y+panels[i].GridPos.H)*line)
	}
	fmt.Fprintf(&p.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", 24*column, height)
	fmt.Fprintf(&p.b, `<title>The dashboard, six hours of an example</title><rect width="%d" height="%d" fill="#f4f5f5"/>`+"\n", 24*column, height)
	for i := range panels {
		d := &panels[i]
		x, y, w, h := d.GridPos.X*column+gap/2, d.GridPos.Y*line+gap/2, d.GridPos.W*column-gap, d.GridPos.H*line-gap
		if d.Type == "row" {
			p.text(x+6, y+18, "bold", "#1f2328", d.Title)
			continue
		}
		fmt.Fprintf(&p.b, `<rect x="%d" y="%d" width="%d" height="%d" rx="3" fill="#fff" stroke="#d8d9da"/>`+"\n", x, y, w, h)
		p.text(x+8, y+18, "bold", "#1f2328", d.Title)
		switch d.Type {
		case "stat":
			p.stat(d, x, y, w, h)
		case "table":
			p.table(d, x, y)
		default:
			p.lines(d, x, y, w, h)
		}
	}
	p.b.WriteString("</svg>\n")
	return p.b.String()
}

func (p *painter) text(x, y int, weight, color, text string) {
	fmt.Fprintf(&p.b, `<text x="%d" y="%d" font-weight="%s" fill="%s">%s</text>`+"\n", x, y, weight, color, html.EscapeString(text))
}

var palette = []string{"#1f78c1", "#e24d42", "#629e51", "#ef843c", "#6d1f62", "#0a437c", "#967302", "#bf1b00"}

func expr(text string) string {
	return strings.NewReplacer("$__rate_interval", "5m", "$namespace", "meshfence-system").Replace(text)
}

// instant is an expression at the end.
func (p *painter) instant(text string) promql.Vector {
	p.t.Helper()
	query, err := p.engine.NewInstantQuery(context.Background(), p.storage, nil, expr(text), p.end)
	if err != nil {
		p.t.Fatal(err)
	}
	defer query.Close()
	result := query.Exec(context.Background())
	vector, err := result.Vector()
	if err != nil {
		p.t.Fatalf("%s: %v", text, err)
	}
	vector = slices.Clone(vector)
	slices.SortFunc(vector, func(a, b promql.Sample) int { return labels.Compare(a.Metric, b.Metric) })
	return vector
}

// overTime is an expression over the six hours.
func (p *painter) overTime(text string) promql.Matrix {
	p.t.Helper()
	query, err := p.engine.NewRangeQuery(context.Background(), p.storage, nil, expr(text), time.Unix(600, 0), p.end, 5*time.Minute)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(query.Close) // until then what it has returned is in use
	found, err := query.Exec(context.Background()).Matrix()
	if err != nil {
		p.t.Fatalf("%s: %v", text, err)
	}
	slices.SortFunc(found, func(a, b promql.Series) int { return labels.Compare(a.Metric, b.Metric) })
	return found
}

func (p *painter) stat(d *drawn, x, y, w, h int) {
	vector := p.instant(d.Targets[0].Expr)
	text, color := "no data", "#8e8e8e"
	if len(vector) > 0 {
		text = inUnit(vector[0].F, d.Unit)
		for _, step := range d.Thresholds {
			if step.Value == nil || vector[0].F >= *step.Value {
				color = map[string]string{"green": "#37872d", "red": "#c4162a", "orange": "#e0752d", "blue": "#1f60c4"}[step.Color]
			}
		}
		p.series++
	}
	fmt.Fprintf(&p.b, `<rect x="%d" y="%d" width="%d" height="%d" rx="3" fill="%s"/>`+"\n", x+8, y+28, w-16, h-36, color)
	fmt.Fprintf(&p.b, `<text x="%d" y="%d" font-size="30" font-weight="bold" fill="#fff" text-anchor="middle">%s</text>`+"\n", x+w/2, y+28+(h-36)/2+11, text)
}

func (p *painter) table(d *drawn, x, y int) {
	for i, sample := range p.instant(d.Targets[0].Expr) {
		for j, name := range []string{"rule", "mesh", "action", "findings"} {
			value := sample.Metric.Get(name)
			if name == "findings" {
				value = fmt.Sprint(sample.F)
			}
			p.text(x+8+j*140, y+44, "bold", "#57606a", name)
			p.text(x+8+j*140, y+66+i*20, "normal", "#1f2328", value)
		}
		p.series++
	}
}

// lines draws each series over the six hours.
func (p *painter) lines(d *drawn, x, y, w, h int) {
	var matrix promql.Matrix
	var legends []string
	most := 0.0
	for i, target := range d.Targets {
		for _, series := range p.overTime(target.Expr) {
			matrix, legends = append(matrix, series), append(legends, legend(d.Legends[i], series.Metric))
			for _, point := range series.Floats {
				most = max(most, point.F)
			}
		}
	}
	left, top, wide, high := x+70, y+32, w-84, h-70
	for _, part := range []float64{0, 0.5, 1} {
		at := top + high - int(part*float64(high))
		fmt.Fprintf(&p.b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#e7e7e7"/>`+"\n", left, at, left+wide, at)
		fmt.Fprintf(&p.b, `<text x="%d" y="%d" fill="#57606a" font-size="11" text-anchor="end">%s</text>`+"\n", left-6, at+4, inUnit(part*most, d.Unit))
	}
	for i, series := range matrix {
		color, path, last := palette[i%len(palette)], "", int64(0)
		for _, point := range series.Floats {
			command := "L"
			if path == "" || point.T-last > 300_000 {
				command = "M"
			}
			last = point.T
			value := 0.0
			if most > 0 {
				value = point.F / most
			}
			path += fmt.Sprintf("%s%.1f %.1f ", command, float64(left)+float64(wide)*float64(point.T)/float64(p.end.UnixMilli()), float64(top+high)-value*float64(high))
		}
		fmt.Fprintf(&p.b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.TrimSpace(path), color)
		p.text(left+i*150, y+h-12, "normal", color, legends[i])
		p.series++
	}
}

func legend(format string, metric labels.Labels) string {
	metric.Range(func(l labels.Label) { format = strings.ReplaceAll(format, "{{"+l.Name+"}}", l.Value) })
	if format = strings.TrimSpace(format); strings.Contains(format, "{{") {
		format = strings.TrimSpace(strings.NewReplacer("{{mesh}}", "", "{{", "", "}}", "").Replace(format))
	}
	return format
}

// inUnit is a value as Grafana shows it, roughly.
func inUnit(value float64, unit string) string {
	number := func(v float64) string { return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".") }
	switch {
	case unit == "s" && value >= 86400:
		return number(math.Round(value/8640)/10) + " days"
	case unit == "s" && value >= 60:
		return number(math.Round(value/6)/10) + " min"
	case unit == "s" && value > 0 && value < 1:
		return number(value*1000) + " ms"
	case unit == "s":
		return number(value) + " s"
	case unit == "bytes":
		return number(math.Round(value/(1<<20))) + " MiB"
	case unit == "reqps":
		return number(value) + " req/s"
	default:
		return number(value)
	}
}
