package history_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/history"
	"github.com/meshfence/meshfence/webhook/policy"
)

var noon = time.Date(2026, 8, 1, 12, 0, 0, 500, time.UTC)

// rule returns a rule of the catalogue.
func rule(t testing.TB, code policy.Code) policy.Rule {
	t.Helper()
	for _, r := range policy.AllRules() {
		if r.Code == code {
			return r
		}
	}
	t.Fatalf("there is no rule %s", code)
	return policy.Rule{}
}

func offence(t testing.TB, code policy.Code, name string, subjects ...string) policy.Offence {
	t.Helper()
	return policy.Offence{Kind: "Namespace", Name: name, Finding: policy.Finding{Rule: rule(t, code), Subjects: subjects}}
}

func run(at time.Time, gaps []audit.Gap, found ...policy.Offence) history.Run {
	return history.Run{Time: at, Findings: found, MeshOf: func(policy.Offence) string { return "mesh-1" }, NotJudged: gaps}
}

// told is a change as a text: what is wrong and since when, what is new, what is gone.
func told(c history.Change) []string {
	var all []string
	for _, f := range c.Findings {
		all = append(all, fmt.Sprintf("%s %s since %s", f.Rule.Code, f.Name, f.Since.Format(time.TimeOnly)))
	}
	for _, f := range c.New {
		all = append(all, fmt.Sprintf("new %s %s", f.Rule.Code, f.Name))
	}
	for _, r := range c.Gone {
		all = append(all, fmt.Sprintf("gone %s %s since %s", r.Rule.Code, r.Name, r.Since.Format(time.TimeOnly)))
	}
	return all
}

func TestAFindingIsSeenStaysAndGoes(t *testing.T) {
	var known history.Known
	whole := []audit.Gap{{Key: audit.Key{Kind: "pods"}, Codes: []policy.Code{"MF904"}}}
	one := []audit.Gap{{Key: audit.Key{Kind: "Namespace", Name: "shop"}, Codes: []policy.Code{"MF202"}}}
	for _, step := range []struct {
		name string
		run  history.Run
		want []string
	}{
		{"first seen", run(noon, nil, offence(t, "MF202", "shop"), offence(t, "MF904", "shop")),
			[]string{"MF202 shop since 12:00:00", "MF904 shop since 12:00:00", "new MF202 shop", "new MF904 shop"}},
		{"still there", run(noon.Add(time.Minute), nil, offence(t, "MF202", "shop"), offence(t, "MF904", "shop")),
			[]string{"MF202 shop since 12:00:00", "MF904 shop since 12:00:00"}},
		{"not looked at, because its rule was not", run(noon.Add(2*time.Minute), whole, offence(t, "MF202", "shop")),
			[]string{"MF202 shop since 12:00:00", "MF904 shop since 12:00:00"}},
		{"not looked at, because its object was not", run(noon.Add(3*time.Minute), one, offence(t, "MF904", "shop")),
			[]string{"MF904 shop since 12:00:00", "MF202 shop since 12:00:00"}},
		{"gone, and another one of the same rule", run(noon.Add(4*time.Minute), nil, offence(t, "MF904", "shop"), offence(t, "MF202", "shop", "another mesh")),
			[]string{"MF904 shop since 12:00:00", "MF202 shop since 12:04:00", "new MF202 shop", "gone MF202 shop since 12:00:00"}},
		{"all gone", run(noon.Add(5*time.Minute), nil),
			[]string{"gone MF202 shop since 12:04:00", "gone MF904 shop since 12:00:00"}},
		{"and quiet", run(noon.Add(6*time.Minute), nil), nil},
		{"back again", run(noon.Add(7*time.Minute), nil, offence(t, "MF202", "shop")), []string{"MF202 shop since 12:07:00", "new MF202 shop"}},
	} {
		var change history.Change
		known, change = known.Next(step.run)
		got := told(change)
		if diff := cmp.Diff(sorted(step.want), sorted(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

func sorted(texts []string) map[string]int {
	count := map[string]int{}
	for _, text := range texts {
		count[text]++
	}
	return count
}

// What its object accepts is not told, until it is accepted no more; another replica knows it too.
func TestWhatIsAcceptedIsNotTold(t *testing.T) {
	known := history.Known{}
	accepting := func(at time.Time, o ...policy.Offence) history.Run {
		r := run(at, nil)
		r.Accepted = o
		return r
	}
	for _, step := range []struct {
		name string
		run  history.Run
		want []string
	}{
		{"first seen, and accepted", accepting(noon, offence(t, "MF202", "shop")), []string{"MF202 shop since 12:00:00"}},
		{"accepted no more", run(noon.Add(time.Minute), nil, offence(t, "MF202", "shop")), []string{"MF202 shop since 12:00:00", "new MF202 shop"}},
		{"still there", run(noon.Add(2*time.Minute), nil, offence(t, "MF202", "shop")), []string{"MF202 shop since 12:00:00"}},
		{"accepted again", accepting(noon.Add(3*time.Minute), offence(t, "MF202", "shop")), []string{"MF202 shop since 12:00:00"}},
		{"gone", run(noon.Add(4*time.Minute), nil), nil},
	} {
		var change history.Change
		known, change = known.Next(step.run)
		if diff := cmp.Diff(sorted(step.want), sorted(told(change))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		for _, f := range change.Findings {
			if f.Accepted != (len(step.run.Accepted) > 0) {
				t.Errorf("%s: accepted is %t", step.name, f.Accepted)
			}
		}
		var err error
		if known, err = history.Parse(known.String(), policy.AllRules()); err != nil {
			t.Error(err)
		}
	}
}

// Another replica goes on where this one stopped.
func TestWhatIsKnownIsReadAgain(t *testing.T) {
	known, _ := history.Known{}.Next(run(noon, nil, offence(t, "MF202", "shop"), offence(t, "MF904", "app")))
	read, err := history.Parse(known.String(), policy.AllRules())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(known.String(), read.String()); diff != "" {
		t.Error(diff)
	}
	_, change := read.Next(run(noon.Add(time.Hour), nil, offence(t, "MF202", "shop")))
	if diff := cmp.Diff([]string{"MF202 shop since 12:00:00", "gone MF904 app since 12:00:00"}, told(change)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(known.String(), func() string {
		k, _ := known.Next(run(noon.Add(time.Hour), nil, offence(t, "MF202", "shop"), offence(t, "MF904", "app")))
		return k.String()
	}()); diff != "" {
		t.Errorf("a run without a change changes the text:\n%s", diff)
	}
}

func TestATextOfSomethingElseIsLeftOut(t *testing.T) {
	good, _ := history.Known{}.Next(run(noon, nil, offence(t, "MF202", "shop")))
	for _, line := range []string{"", "hello", "2026-08-01 MF202 Namespace - shop mesh-1 abc", "2026-08-01T12:00:00Z MF999 Namespace - shop mesh-1 abc"} {
		known, err := history.Parse(line+"\n"+good.String(), policy.AllRules())
		if err == nil {
			t.Errorf("%q: no error", line)
		}
		if diff := cmp.Diff(good.String(), known.String()); diff != "" {
			t.Errorf("%q: %s", line, diff)
		}
	}
}

// An object of the API server has room for about a megabyte.
func TestTheTextHasALimit(t *testing.T) {
	var found []policy.Offence
	for i := range 20000 {
		found = append(found, offence(t, "MF202", fmt.Sprintf("a-namespace-with-a-long-name-of-63-characters-%017d", i)))
	}
	known, change := history.Known{}.Next(run(noon, nil, found...))
	if len(change.Findings) != len(found) {
		t.Errorf("%d findings of %d", len(change.Findings), len(found))
	}
	if size := len(known.String()); size > 900_000 || size < 300_000 {
		t.Errorf("the text has %d bytes", size)
	}
}
