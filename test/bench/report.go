package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// row is one line of the table: a figure, and the target for it if there is one.
type row struct {
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Figure figure `json:"figure"`
	// Target is the greatest value, or with AtLeast the least, that is good enough; 0 for none.
	Target  float64 `json:"target,omitempty"`
	AtLeast bool    `json:"atLeast,omitempty"`
	// Never means that the target is 0, in every round.
	Never bool `json:"never,omitempty"`
}

// verdict looks at the range, because a median can be lucky: a target is met if all rounds meet it, missed if none does, and open otherwise.
func (r row) verdict() string {
	bound := r.Target
	switch {
	case !r.Never && bound == 0:
		return ""
	case r.AtLeast && r.Figure.Min >= bound, !r.AtLeast && r.Figure.Max <= bound:
		return "met"
	case r.AtLeast && r.Figure.Max < bound, !r.AtLeast && r.Figure.Min > bound, r.Never:
		return "missed"
	default:
		return "open"
	}
}

func (r row) bound() string {
	switch {
	case r.Never:
		return "0"
	case r.Target == 0:
		return ""
	case r.AtLeast:
		return fmt.Sprintf("≥ %g", r.Target)
	default:
		return fmt.Sprintf("≤ %g", r.Target)
	}
}

// report is everything that a run found.
type report struct {
	// Machine, Rounds and Requests say what the figures rest on.
	Machine  string  `json:"machine"`
	Rounds   int     `json:"rounds"`
	Requests int     `json:"requestsARound"`
	Took     string  `json:"took"`
	Rows     []row   `json:"rows"`
	Growth   []point `json:"growth"`
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %d rounds of %d requests of each kind; the run took %s. Median (least to greatest of the rounds). Met and missed are said of all rounds, open where they differ.\n\n", r.Machine, r.Rounds, r.Requests, r.Took)
	b.WriteString("| what | unit | median | range | target | |\n| --- | --- | ---: | --- | --- | --- |\n")
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s to %s | %s | %s |\n", row.Name, row.Unit, number(row.Figure.Median), number(row.Figure.Min), number(row.Figure.Max),
			row.bound(), row.verdict())
	}
	b.WriteString("\n| namespaces | meshes | resident, MiB | start to first right answer, ms | AdmissionReview, µs | UPDATE of an Istio, ms |\n" +
		"| ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, p := range r.Growth {
		fmt.Fprintf(&b, "| %d | %d | %s | %s | %s | %s |\n", p.Namespaces, p.Meshes, number(p.ResidentMiB.Median), number(p.StartMillis.Median),
			number(p.ReviewMicros.Median), number(p.IstioMillis.Median))
	}
	return b.String()
}

// number prints three significant digits, and no fewer than all before the point.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// growthRows are what the targets say of growth.
func (r *report) growthRows() []row {
	at := map[size]point{}
	for _, p := range r.Growth {
		at[p.size] = p
	}
	full, most := at[size{fullNamespaces, fullMeshes}], at[size{mostNamespaces, fullMeshes}]
	if full == (point{}) || most == (point{}) {
		return nil
	}
	each := (most.ResidentMiB.Median - full.ResidentMiB.Median) * (1 << 20) / (mostNamespaces - fullNamespaces)
	return []row{
		{Name: "resident, 10,000 namespaces and 100 meshes", Unit: "MiB", Figure: full.ResidentMiB, Target: 48},
		{Name: "resident, each namespace from 10,000 to 100,000", Unit: "bytes", Figure: single(each), Target: 600},
		{Name: "start to first right answer, 10,000 namespaces", Unit: "ms", Figure: full.StartMillis, Target: 400},
		{Name: "UPDATE of an Istio, 100 meshes and 10,000 namespaces", Unit: "ms", Figure: full.IstioMillis, Target: 25},
		{Name: "UPDATE of an Istio without meshfence, 100 meshes and 10,000 namespaces", Unit: "ms", Figure: full.BareIstioMillis},
	}
}

// write stores the report in one folder and its plots in another.
func (r *report) write(dir, plots string) error {
	for _, folder := range []string{dir, plots} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	files := map[string]string{filepath.Join(dir, "results.json"): string(data) + "\n", filepath.Join(dir, "results.md"): r.markdown()}
	for name, plot := range r.plots() {
		files[filepath.Join(plots, name)] = plot.svg()
	}
	for name, content := range files {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
