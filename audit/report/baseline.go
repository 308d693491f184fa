package report

import (
	"cmp"
	"fmt"
	"slices"

	"sigs.k8s.io/yaml"
)

// BaselineKind is what a baseline says about itself.
const BaselineKind = "CheckBaseline"

// Baseline is what is accepted for now: a check with it fails for new findings only.
type Baseline struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Findings   []BaselineEntry `json:"findings"`
}

// BaselineEntry is one accepted finding. Only its fingerprint counts; the rest is for the reader.
type BaselineEntry struct {
	Fingerprint string `json:"fingerprint"`
	Code        string `json:"code"`
	Object      string `json:"object"`
}

// ParseBaseline reads one.
func ParseBaseline(text []byte) (Baseline, error) {
	var b Baseline
	if err := yaml.UnmarshalStrict(text, &b); err != nil {
		return b, fmt.Errorf("it is no baseline: %w; write one with --write-baseline", err)
	}
	if b.APIVersion != APIVersion || b.Kind != BaselineKind {
		return b, fmt.Errorf("it is no baseline: it has apiVersion %q and kind %q, not %s and %s; write one with --write-baseline", b.APIVersion, b.Kind, APIVersion, BaselineKind)
	}
	return b, nil
}

// Baseline returns one that accepts all findings of the report, also those that another one has accepted.
func (r *Report) Baseline() ([]byte, error) {
	b := Baseline{APIVersion: APIVersion, Kind: BaselineKind, Findings: []BaselineEntry{}}
	for _, f := range slices.Concat(r.Findings, r.accepted) {
		b.Findings = append(b.Findings, BaselineEntry{f.Fingerprint, f.Code, f.object()})
	}
	slices.SortFunc(b.Findings, func(x, y BaselineEntry) int {
		return cmp.Or(cmp.Compare(x.Code, y.Code), cmp.Compare(x.Object, y.Object), cmp.Compare(x.Fingerprint, y.Fingerprint))
	})
	b.Findings = slices.Compact(b.Findings)
	return yaml.Marshal(b)
}

// Accept takes the findings out of the report that the baseline has, and notes its entries that nothing corresponds to any more. What was not
// judged may be as it was: an entry of a rule that is switched off is not stale, and none is while something could not be read, since an entry does not
// say in which file its object stood.
func (r *Report) Accept(b Baseline) {
	accepted, seen := map[string]bool{}, map[string]bool{}
	for _, entry := range b.Findings {
		accepted[entry.Fingerprint] = true
	}
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool {
		if !accepted[f.Fingerprint] {
			return false
		}
		seen[f.Fingerprint] = true
		r.accepted = append(r.accepted, f)
		r.Accepted++
		return true
	})
	if len(r.Problems) > 0 {
		return
	}
	for _, f := range r.Elsewhere {
		seen[f.Fingerprint] = true
	}
	for _, entry := range b.Findings {
		if !seen[entry.Fingerprint] && r.judged(entry) {
			r.Stale = append(r.Stale, entry.Code+" "+entry.Object)
		}
	}
}

// judged reports whether the rule of an entry was judged for its object.
func (r *Report) judged(entry BaselineEntry) bool {
	if !slices.ContainsFunc(r.Rules, func(rule Rule) bool { return rule.Code == entry.Code }) {
		return false
	}
	return !slices.ContainsFunc(r.NotJudged, func(gap Gap) bool {
		return slices.Contains(gap.Codes, entry.Code) &&
			(gap.Name == "" || nameOf(gap.Kind, gap.Namespace, gap.Name) == entry.Object)
	})
}

// staleLines tell of the entries of the baseline that nothing corresponds to.
func (r *Report) staleLines() []string {
	lines := make([]string, len(r.Stale))
	for i, entry := range r.Stale {
		lines[i] = "the baseline has an entry that nothing corresponds to any more: " + entry
	}
	return lines
}
