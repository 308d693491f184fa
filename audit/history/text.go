package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshfence/meshfence/webhook/policy"
)

// maxText is how many bytes a text has at most; a ConfigMap can have a megabyte. Of findings that have no room it is not remembered when they were first seen. Rules and
// namespaces take turns, so that the findings of one do not take the room of all.
const maxText = 768 << 10

// nothing stands for an empty field. Last is accepted for a finding that its object accepts, and untold for one of which there is no Event yet.
const (
	nothing  = "-"
	accepted = "accepted"
	untold   = "untold"
)

// String is what is known as a text: a line for each finding, the oldest first, with when it was first seen, the rule, the object, the mesh and the
// fingerprint.
func (k Known) String() string {
	records := slices.SortedFunc(maps.Values(k.records), func(a, b Record) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Rule.Code, b.Rule.Code), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	size, room := 0, map[string]bool{}
	for _, r := range InTurns(records, func(r Record) string { return string(r.Rule.Code) + "/" + Place(r.Kind, r.Namespace, r.Name) }) {
		if size += len(r.line()); size > maxText {
			break
		}
		room[r.Fingerprint] = true
	}
	var text strings.Builder
	for _, r := range records {
		if room[r.Fingerprint] {
			text.WriteString(r.line())
		}
	}
	return text.String()
}

// line is what is remembered, as a line.
func (r Record) line() string {
	fields := []any{r.Since.UTC().Format(time.RFC3339), r.Rule.Code, r.Kind, cmp.Or(r.Namespace, nothing), r.Name, cmp.Or(r.Mesh, nothing), r.Fingerprint}
	switch {
	case r.Accepted:
		fields = append(fields, accepted)
	case !r.Told:
		fields = append(fields, untold)
	}
	return fmt.Sprintln(fields...)
}

// Parse reads what String has written; rules are those of the catalogue. The error says which lines it has left out because they were written by something else.
func Parse(text string, rules []policy.Rule) (Known, error) {
	k := Known{records: map[string]Record{}}
	var wrong []int
	number := 0
	for line := range strings.Lines(text) {
		number++
		r, ok := parseLine(line, rules)
		if !ok {
			wrong = append(wrong, number)
			continue
		}
		k.records[r.Fingerprint] = r
	}
	if len(wrong) > 0 {
		return k, fmt.Errorf("lines %s are not of the audit", strings.Trim(fmt.Sprint(wrong[:min(len(wrong), 10)]), "[]"))
	}
	return k, nil
}

func parseLine(line string, rules []policy.Rule) (Record, bool) {
	fields := strings.Fields(line)
	last := ""
	if len(fields) == 8 {
		last = fields[7]
	}
	if len(fields) != 7 && last != accepted && last != untold {
		return Record{}, false
	}
	since, err := time.Parse(time.RFC3339, fields[0])
	at := slices.IndexFunc(rules, func(r policy.Rule) bool { return string(r.Code) == fields[1] })
	if err != nil || at < 0 {
		return Record{}, false
	}
	for i, field := range fields {
		if field == nothing {
			fields[i] = ""
		}
	}
	return Record{
		Since: since, Rule: rules[at], Kind: fields[2], Namespace: fields[3], Name: fields[4], Mesh: fields[5], Fingerprint: fields[6],
		Accepted: last == accepted, Told: last == "",
	}, true
}
