package history

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/webhook/policy"
)

// Finding is something wrong that a run of the audit has found, or that an earlier one has found and this one could not look at.
type Finding struct {
	policy.Offence
	// Fingerprint is audit.Fingerprint's.
	Fingerprint string
	// Mesh is the name of the mesh that it is counted for, "" if it is none's.
	Mesh string
	// Since is when it was first seen.
	Since time.Time
	// Accepted says that its object accepts it for now.
	Accepted bool
}

// Record is what is remembered of a finding.
type Record struct {
	Fingerprint string
	Since       time.Time
	Rule        policy.Rule
	// Kind, Namespace and Name are of the object.
	Kind, Namespace, Name string
	// Mesh is Finding.Mesh.
	Mesh string
	// Accepted is Finding.Accepted.
	Accepted bool
	// Told says that there is an Event about it; Tell says so.
	Told bool
}

// Known is what the last run has left. The zero value knows of no run.
type Known struct {
	records map[string]Record
	// last are the findings of the last run in this process, of which more is known than is remembered.
	last map[string]Finding
}

// Run is what one run of the audit has found.
type Run struct {
	// Time is when it began.
	Time time.Time
	// Findings are in the order of reports, and Accepted what objects accept for now.
	Findings, Accepted []policy.Offence
	// MeshOf names the mesh that a finding is counted for.
	MeshOf func(policy.Offence) string
	// NotJudged is what could not be looked at.
	NotJudged []audit.Gap
}

// Change is what a run has changed.
type Change struct {
	// Findings is all that is wrong, as far as is known, in the order of reports.
	Findings []Finding
	// New are those that no run has found before, or that their objects accept no more. Gone are those that a run has found before and this one would have
	// found. Neither has what is, or was, accepted.
	New  []Finding
	Gone []Record
	// Untold are those of Findings that are not accepted and that have not been told yet: the new ones, and what there was no room for, or what failed.
	Untold []Finding
}

// Next returns what is known after a run, and what the run has changed. Known is not written.
func (k Known) Next(r Run) (Known, Change) {
	next := Known{records: map[string]Record{}, last: map[string]Finding{}}
	var change Change
	for i, o := range slices.Concat(r.Findings, r.Accepted) {
		f := Finding{Offence: o, Fingerprint: audit.Fingerprint(o), Mesh: r.MeshOf(o), Since: r.Time.Truncate(time.Second), Accepted: i >= len(r.Findings)}
		if _, twice := next.last[f.Fingerprint]; twice {
			continue // the same finding in other words
		}
		before, known := k.records[f.Fingerprint]
		if known {
			f.Since = before.Since
		}
		record := recordOf(f)
		record.Told = before.Told && !before.Accepted
		if !f.Accepted && (!known || before.Accepted) {
			change.New = append(change.New, f)
		}
		if !f.Accepted && !record.Told {
			change.Untold = append(change.Untold, f)
		}
		change.Findings = append(change.Findings, f)
		next.last[f.Fingerprint], next.records[f.Fingerprint] = f, record
	}
	for _, fingerprint := range slices.Sorted(maps.Keys(k.records)) {
		record := k.records[fingerprint]
		if _, still := next.records[fingerprint]; still {
			continue
		}
		if !r.unjudged(record) {
			if !record.Accepted {
				change.Gone = append(change.Gone, record)
			}
			continue
		}
		next.records[fingerprint] = record
		if f, whole := k.last[fingerprint]; whole {
			next.last[fingerprint] = f
			change.Findings = append(change.Findings, f)
		}
	}
	slices.SortStableFunc(change.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return next, change
}

// Tell returns what is known once the findings with these fingerprints are told. What is gone, and could not be told of, is again so that the next run finds it gone.
func (k Known) Tell(told []string, again []Record) Known {
	next := Known{records: maps.Clone(k.records), last: k.last}
	for _, fingerprint := range told {
		record := next.records[fingerprint]
		record.Told = true
		next.records[fingerprint] = record
	}
	for _, record := range again {
		next.records[record.Fingerprint] = record
	}
	return next
}

func recordOf(f Finding) Record {
	return Record{Fingerprint: f.Fingerprint, Since: f.Since, Rule: f.Rule, Kind: f.Kind, Namespace: f.Namespace, Name: f.Name, Mesh: f.Mesh, Accepted: f.Accepted}
}

// unjudged reports whether the run could not have found it.
func (r Run) unjudged(record Record) bool {
	return slices.ContainsFunc(r.NotJudged, func(gap audit.Gap) bool {
		if !slices.Contains(gap.Codes, record.Rule.Code) {
			return false
		}
		return gap.Key.Name == "" || gap.Key == audit.Key{Kind: record.Kind, Namespace: record.Namespace, Name: record.Name}
	})
}
