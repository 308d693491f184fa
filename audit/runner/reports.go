package runner

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/history"
	"github.com/meshfence/meshfence/webhook/policy"
)

const (
	// maxResults is how many results a report has at most: half a megabyte.
	maxResults = 500
	// maxDescription is how many bytes a result's message has at most.
	maxDescription = 800
	// leftOut is the annotation of a report with how many results had no room.
	leftOut = "meshfence.io/results-left-out"
	// source is who reports.
	source = "meshfence"
	// unassigned is the end of the name of the report of what is counted for no mesh.
	unassigned = "unassigned"
)

// ReportWriter keeps the stored reports as they should be; package reports has it.
type ReportWriter interface {
	Write(ctx context.Context, wanted []openreports.ClusterReport) (written int, err error)
}

// Reports keeps a ClusterReport for each mesh, and one for what is counted for none.
type Reports struct{ Writer ReportWriter }

// Publish implements Publisher.
func (r Reports) Publish(ctx context.Context, o *Outcome) error {
	_, err := r.Writer.Write(ctx, reportsOf(o))
	return err
}

// reportsOf are the reports of a run, by name.
func reportsOf(o *Outcome) []openreports.ClusterReport {
	findings, passed := map[string][]history.Finding{}, map[string]int{}
	for _, m := range o.Existing.Fleet.Meshes() {
		findings[reportName(m.Name)] = nil
	}
	for _, f := range o.Findings {
		name := reportName(f.Mesh)
		findings[name] = append(findings[name], f)
	}
	for standing, n := range o.Namespaces {
		passed[reportName(standing.Mesh)] += n
	}
	var all []openreports.ClusterReport
	for name, of := range findings {
		all = append(all, report(name, of, passed[name]))
	}
	slices.SortFunc(all, func(a, b openreports.ClusterReport) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// reportName is the name of a mesh's report. That of a name for which there is no room ends with a digest.
func reportName(mesh string) string {
	const longest, digest = 253, 16
	name := "meshfence-" + cmp.Or(mesh, unassigned)
	if len(name) <= longest {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimRight(name[:longest-digest-1], ".-") + "-" + hex.EncodeToString(sum[:digest/2])
}

// report is that of these findings; namespaces is how many there are of the mesh.
func report(name string, findings []history.Finding, namespaces int) openreports.ClusterReport {
	findings = slices.Clone(findings)
	slices.SortStableFunc(findings, func(a, b history.Finding) int {
		return cmp.Or(severity(b)-severity(a), cmp.Compare(a.Rule.Code, b.Rule.Code), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	r := openreports.ClusterReport{
		ObjectMeta:    metav1.ObjectMeta{Name: name},
		Source:        source,
		Configuration: &openreports.ReportConfiguration{Limits: openreports.Limits{MaxResults: maxResults}},
	}
	wrong := map[string]bool{}
	for i := range findings {
		f := &findings[i]
		if f.Kind == audit.KindNamespace {
			wrong[f.Name] = true
		}
		switch {
		case f.Accepted:
			r.Summary.Skip++
		case f.Action == policy.Deny:
			r.Summary.Fail++
		default:
			r.Summary.Warn++
		}
	}
	kept := findings
	if len(kept) > maxResults { // the worst, and of those rules and namespaces in turns, so that one does not take the room of all
		kept = history.InTurns(kept, func(f history.Finding) string {
			return string(f.Rule.Code) + "/" + history.Place(f.Kind, f.Namespace, f.Name)
		})
		slices.SortStableFunc(kept, func(a, b history.Finding) int { return severity(b) - severity(a) })
		kept = kept[:maxResults]
	}
	for i := range kept {
		r.Results = append(r.Results, result(&kept[i]))
	}
	r.Summary.Pass = max(0, namespaces-len(wrong))
	if left := len(findings) - maxResults; left > 0 {
		r.Annotations = map[string]string{leftOut: strconv.Itoa(left)}
	}
	return r
}

// severity orders findings: what is accepted is the least.
func severity(f history.Finding) int {
	if f.Accepted {
		return 0
	}
	return int(f.Action)
}

// result is a finding in a report.
func result(f *history.Finding) openreports.ReportResult {
	about := corev1.ObjectReference{Kind: f.Kind, Namespace: f.Namespace, Name: f.Name}
	if resource, known := Kinds()[f.Kind]; known {
		about.APIVersion = resource.GroupVersion().String()
	}
	r := openreports.ReportResult{
		Source: source, Policy: string(f.Rule.Code), Rule: f.Rule.Name, Severity: "medium", Result: "warn", Scored: true,
		Timestamp:   metav1.Timestamp{Seconds: f.Since.Unix()},
		Subjects:    []corev1.ObjectReference{about},
		Description: f.Line(maxDescription),
		Properties:  map[string]string{"fingerprint": f.Fingerprint},
	}
	if f.Action == policy.Deny {
		r.Severity, r.Result = "high", "fail"
	}
	if f.Accepted {
		r.Result, r.Scored = "skip", false
	}
	if f.Field != "" {
		r.Properties["field"] = f.Field
	}
	return r
}
