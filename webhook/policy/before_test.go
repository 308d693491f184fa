package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

// always makes a rule refuse that only warns by default, so that it shows whether a finding is taken for an old one.
func always(code policy.Code) policy.Actions {
	return policy.Actions{Rules: map[policy.Code]policy.Action{code: policy.Deny}}
}

// refusedBy is the code if the rule refuses, whatever others do; else "".
func refusedBy(code policy.Code, v policy.Verdict) policy.Code {
	if slices.ContainsFunc(v.Denials, func(f policy.Finding) bool { return f.Rule.Code == code }) {
		return code
	}
	return ""
}

// What the old object broke already cannot refuse a change. These are changes of objects that were wrong before, rule by rule
// as in the table of docs/rules.md: what stays the same is admitted, and what is wrong anew is refused, also if it is
// wrong in the same way.
func TestOfAMeshOnlyWhatIsNewIsRefused(t *testing.T) {
	const (
		none     = "Istio mesh-1; in istio-system-1"
		m1       = none + "; "
		other    = "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
		revision = "IstioRevision a; in istio-system-a; selects istio-discovery=a"
	)
	for _, c := range []struct {
		code     policy.Code
		name     string
		others   []string
		from, to string
		want     policy.Code
	}{
		{code: "MF101", name: "an unrelated change", from: m1 + "selects raw team in a", to: m1 + "selects raw team in a; version v1.30.0"},
		{code: "MF101", name: "the list is reordered", from: m1 + "selects raw team in a | x=y | raw env in b", to: m1 + "selects raw env in b | raw team in a | x=y"},
		{code: "MF101", name: "another item is removed", from: m1 + "selects x=y | raw team in a", to: m1 + "selects raw team in a"},
		{code: "MF101", name: "another invalid item is removed", from: m1 + "selects raw env in b | raw team in a", to: m1 + "selects raw team in a"},
		{code: "MF101", name: "a good item comes before it", from: m1 + "selects raw team in a", to: m1 + "selects x=y | raw team in a"},
		{code: "MF101", name: "one of two invalid values is repaired", from: m1 + "selects raw team In -a -b", to: m1 + "selects raw team In -a b"},
		{code: "MF101", name: "a second item is invalid in the same way", from: m1 + "selects raw team in a", to: m1 + "selects raw team in a | raw env in b", want: "MF101"},
		{code: "MF101", name: "a second item with other values", from: m1 + "selects raw team in a", to: m1 + "selects raw team in a | raw team in b", want: "MF101"},
		{code: "MF101", name: "a second item that is the first one once more", from: m1 + "selects raw team in a", to: m1 + "selects raw team in a | raw team in a", want: "MF101"},
		{code: "MF101", name: "the invalid item becomes another", from: m1 + "selects raw team in a", to: m1 + "selects raw env in a", want: "MF101"},
		{code: "MF101", name: "the invalid item gets other values", from: m1 + "selects raw team in a", to: m1 + "selects raw team in b", want: "MF101"},
		{code: "MF101", name: "an invalid value becomes another", from: m1 + "selects raw team In -a", to: m1 + "selects raw team In -b", want: "MF101"},
		{code: "MF101", name: "a second requirement without values", from: m1 + "selects raw team In", to: m1 + "selects raw team In | raw env In", want: "MF101"},

		{code: "MF102", name: "none become {}", others: []string{other}, from: none, to: m1 + "selects {}"},
		{code: "MF102", name: "{} becomes none", others: []string{other}, from: m1 + "selects {}", to: none},
		{code: "MF102", name: "an invalid item goes, and none is left", others: []string{other}, from: m1 + "selects raw team in a", to: m1 + "selects ", want: "MF102"},
		{code: "MF102", name: "an invalid item becomes {}", others: []string{other}, from: m1 + "selects raw team in a", to: m1 + "selects {}", want: "MF102"},
		{code: "MF102", name: "what is malformed elsewhere is repaired", others: []string{other}, from: m1 + "malformed spec.version", to: none},
		{
			code: "MF102", name: "it fights with an IstioRevision of the other's name too", others: []string{
				"Istio a; in istio-system-b; RevisionBased; version v1.30.0; selects istio-discovery=b", revision + "; bundle own",
			}, from: m1 + "bundle mine", to: m1 + "bundle own", want: "MF102",
		},
		{
			code: "MF102", name: "it comes to fight with the IstioRevision instead of the Istio", others: []string{
				"Istio a; in istio-system-b; RevisionBased; version v1.30.0; selects istio-discovery=b", revision + "; bundle own",
			}, from: none, to: m1 + "bundle own", want: "MF102",
		},

		{code: "MF104", name: "the selectors still leave it out", from: m1 + "selects a=b", to: m1 + "selects a=c"},
		{code: "MF105", name: "it shares its namespace still", others: []string{"Istio mesh-3; in istio-system-1; selects c=d"}, from: m1 + "selects a=b", to: m1 + "selects a=c"},
		{code: "MF106", name: "it has the tag's name still", others: []string{"IstioRevisionTag mesh-1; targets Istio x"}, from: m1 + "selects a=b", to: m1 + "selects a=c"},
		{
			code: "MF106", name: "it takes another tag's name", others: []string{"IstioRevisionTag mesh-1; targets Istio x", "IstioRevisionTag mesh-1-v1-30-0; targets Istio x"},
			from: m1 + "selects a=b", to: m1 + "selects a=b; RevisionBased; version v1.30.0", want: "MF106",
		},

		{code: "MF108", name: "the setting stays", others: []string{other}, from: "Istio default; in istio-system-1; selects a=b; injects-by-default", to: "Istio default; in istio-system-1; selects a=c; injects-by-default"},
		{
			code: "MF108", name: "the setting had no effect, and the mesh becomes the default", others: []string{other},
			from: "Istio default; in istio-system-1; selects a=b; injects-by-default; RevisionBased; version v1.30.0",
			to:   "Istio default; in istio-system-1; selects a=b; injects-by-default; version v1.30.0", want: "MF108",
		},
		{
			code: "MF109", name: "it stays beside the same ambient mesh", others: []string{"Istio mesh-2; in istio-system-2; selects c=d; ambient"},
			from: m1 + "selects a=b; ambient", to: m1 + "selects a=c; ambient",
		},

		{
			code: "MF115", name: "a harmless overlap becomes a declared one", others: []string{"Istio mesh-2; in istio-system-2; selects a=b"},
			from: m1 + "selects a=b; bundle own", to: m1 + "selects a=b; overlaps mesh-2", want: "MF115",
		},
		{
			code: "MF115", name: "the declaration ends", others: []string{"Istio mesh-2; in istio-system-2; selects a=b"},
			from: m1 + "selects a=b; overlaps mesh-2", to: m1 + "selects a=b; overlaps mesh-2; until 2026-07-01T00:00:00Z", want: "MF115",
		},
		{
			code: "MF115", name: "a declared overlap becomes a harmless one", others: []string{"Istio mesh-2; in istio-system-2; selects a=b"},
			from: m1 + "selects a=b; overlaps mesh-2", to: m1 + "selects a=b; bundle own",
		},
	} {
		t.Run(string(c.code)+" "+c.name, func(t *testing.T) {
			verdict := meshCase{others: c.others, from: c.from, to: c.to, actions: always(c.code)}.judge(t)
			if got := refusedBy(c.code, verdict); got != c.want {
				t.Errorf("refused by %q, want %q: %+v", got, c.want, verdict.Denials)
			}
		})
	}
}

func TestOfANamespaceOnlyWhatIsNewIsRefused(t *testing.T) {
	sameName := []string{
		"Istio a; in istio-system-b; RevisionBased; version v1.30.0; selects istio-discovery=b",
		"IstioRevision a; in istio-system-a; selects istio-discovery=a", "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
	}
	overlapping := []string{
		"Istio mesh-1; in istio-system-1; selects a=1", "Istio mesh-2; in istio-system-2; selects b=2", "Istio mesh-3; in istio-system-3; selects c=3",
	}
	for _, c := range []struct {
		code     policy.Code
		name     string
		fleet    []string
		from, to string
		want     policy.Code
	}{
		{code: "MF201", name: "the same two", fleet: overlapping, from: "a=1 b=2", to: "a=1 b=2 x=y"},
		{code: "MF201", name: "two of the three", fleet: overlapping, from: "a=1 b=2 c=3", to: "a=1 c=3"},
		{code: "MF201", name: "another pair", fleet: overlapping, from: "a=1 b=2", to: "a=1 c=3", want: "MF201"},
		{code: "MF202", name: "the same revision", from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2 x=y"},
		{code: "MF202", name: "by another label", fleet: append(guide(), "Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3"), from: "istio-discovery=mesh-2 istio.io/rev=default", to: "istio-discovery=mesh-2 istio-injection=enabled"},
		{code: "MF202", name: "another mesh discovers it", fleet: append(guide(), "Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3"), from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-3 istio.io/rev=mesh-2", want: "MF202"},
		{code: "MF202", name: "an IstioRevision of the same name discovers it", fleet: sameName, from: "istio-discovery=b istio.io/rev=mesh-2", to: "istio-discovery=a istio.io/rev=mesh-2", want: "MF202"},
		{code: "MF203", name: "the same name", from: "istio-discovery=mesh-1 istio.io/rev=x", to: "istio-discovery=mesh-1 istio.io/rev=x y=z"},
		{code: "MF203", name: "another name", from: "istio-discovery=mesh-1 istio.io/rev=x", to: "istio-discovery=mesh-1 istio.io/rev=y", want: "MF203"},
		{code: "MF203", name: "an IstioRevision of the same name discovers it", fleet: sameName, from: "istio-discovery=b istio.io/rev=x", to: "istio-discovery=a istio.io/rev=x", want: "MF203"},
		{code: "MF205", name: "another revision", from: "istio.io/rev=mesh-1", to: "istio.io/rev=mesh-2", want: "MF205"},
		{code: "MF208", name: "another mesh's member", from: "maistra.io/member-of=a istio.io/rev=mesh-1 istio-discovery=mesh-1", to: "maistra.io/member-of=b istio.io/rev=mesh-1 istio-discovery=mesh-1"},
		{code: "MF211", name: "another revision", from: "istio.io/dataplane-mode=ambient istio.io/rev=mesh-1 istio-discovery=mesh-1", to: "istio.io/dataplane-mode=ambient istio.io/rev=default istio-discovery=mesh-1"},
		{code: "MF212", name: "another value", from: "istio-discovery=x", to: "istio-discovery=y", want: "MF212"},
		{code: "MF212", name: "the same value of another label", from: "istio-discovery=x", to: "mesh=x", want: "MF212"},
		{code: "MF213", name: "another revision", fleet: append(guide(), "IstioRevisionTag b; targets Istio mesh-1", "map mesh-1=b"), from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=default", want: "MF213"},
	} {
		t.Run(string(c.code)+" "+c.name, func(t *testing.T) {
			verdict := namespaceCase{fleet: c.fleet, from: c.from, to: c.to, actions: always(c.code)}.judge(t)
			if got := refusedBy(c.code, verdict); got != c.want {
				t.Errorf("refused by %q, want %q: %+v", got, c.want, verdict.Denials)
			}
		})
	}
}

func TestOfATagAndTheMeshMapOnlyWhatIsNewIsRefused(t *testing.T) {
	for _, c := range []struct {
		code     policy.Code
		name     string
		from, to string // of a tag
		old, new entries
		want     policy.Code
	}{
		{code: "MF301", name: "another target", from: "IstioRevisionTag mesh-1; targets Istio mesh-1", to: "IstioRevisionTag mesh-1; targets Istio mesh-2"},
		{code: "MF304", name: "another target that is missing", from: "IstioRevisionTag t; targets Istio x", to: "IstioRevisionTag t; targets Istio y", want: "MF304"},
		{code: "MF304", name: "the same name of another kind", from: "IstioRevisionTag t; targets Istio x", to: "IstioRevisionTag t; targets IstioRevision x", want: "MF304"},

		{code: "MF401", name: "an unrelated entry comes", old: entries{"mesh-1": "a b"}, new: entries{"mesh-1": "a b", "mesh-2": "mesh-2"}},
		{code: "MF401", name: "white space goes", old: entries{"mesh-1": "a b\n"}, new: entries{"mesh-1": "a b"}},
		{code: "MF401", name: "one side is repaired", old: entries{"-a": "a b"}, new: entries{"-a": "mesh-1"}},
		{code: "MF401", name: "the other bad entry goes", old: entries{"mesh-1": "a b", "mesh-2": ""}, new: entries{"mesh-2": ""}},
		{code: "MF401", name: "a second bad entry", old: entries{"mesh-1": "a b"}, new: entries{"mesh-1": "a b", "mesh-2": "a b"}, want: "MF401"},
		{code: "MF401", name: "a bad value becomes another", old: entries{"mesh-1": "a b"}, new: entries{"mesh-1": "c d"}, want: "MF401"},
		{code: "MF401", name: "a bad value becomes longer", old: entries{"mesh-1": strings.Repeat("a", 64)}, new: entries{"mesh-1": strings.Repeat("a", 65)}, want: "MF401"},
		{code: "MF401", name: "a bad entry gets another name", old: entries{"mesh-1": "a b"}, new: entries{"mesh-2": "a b"}, want: "MF401"},
		{code: "MF401", name: "it goes over to binaryData", old: entries{"mesh-1": "a b"}, new: entries{"binary:mesh-1": ""}, want: "MF401"},

		{code: "MF402", name: "an unrelated entry comes", old: entries{"mesh-1": "mesh-2"}, new: entries{"mesh-1": "mesh-2", "x": "y"}},
		{code: "MF402", name: "the same two names the other way round", old: entries{"mesh-1": "mesh-2"}, new: entries{"mesh-1": "mesh-2", "mesh-2": "mesh-1"}, want: "MF402"},
		{code: "MF402", name: "another entry has the same revision", old: entries{"x": "mesh-2"}, new: entries{"x": "mesh-2", "mesh-1": "mesh-2"}, want: "MF402"},

		{code: "MF403", name: "an unrelated entry comes", old: entries{"mesh-1": "x"}, new: entries{"mesh-1": "x", "mesh-2": "mesh-2"}},
		{code: "MF403", name: "another entry has the same revision", old: entries{"mesh-1": "x"}, new: entries{"mesh-1": "x", "mesh-2": "x"}, want: "MF403"},
		{code: "MF403", name: "another missing revision", old: entries{"mesh-1": "x"}, new: entries{"mesh-1": "y"}, want: "MF403"},
	} {
		t.Run(string(c.code)+" "+c.name, func(t *testing.T) {
			var verdict policy.Verdict
			if c.from != "" {
				verdict = tagCase{others: guide(), from: c.from, to: c.to, actions: always(c.code)}.judge(t)
			} else {
				verdict = mapCase{from: c.old, to: c.new, actions: always(c.code)}.judge(t)
			}
			if got := refusedBy(c.code, verdict); got != c.want {
				t.Errorf("refused by %q, want %q: %+v", got, c.want, verdict.Denials)
			}
		})
	}
}

// What the old object broke is found out once, however often the new one breaks the rule: the work grows with the number of
// findings, and not with its square.
func TestAnObjectThatBreaksARuleThousandsOfTimesIsComparedInTime(t *testing.T) {
	const n = 1000
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf("raw team in v%d", i)
	}
	c := meshCase{from: "Istio mesh-1; in istio-system-1; selects " + strings.Join(items, " | ")}
	slices.Reverse(items)
	c.to = "Istio mesh-1; in istio-system-1; selects " + strings.Join(items, " | ")
	var verdict policy.Verdict
	if allocated := testing.AllocsPerRun(1, func() { verdict = c.judge(t) }); allocated > 600*n {
		t.Errorf("%.0f allocations for %d findings", allocated, n)
	}
	if verdict.Answer != policy.Allowed || len(verdict.Warnings) < n {
		t.Errorf("%d denials, %d warnings", len(verdict.Denials), len(verdict.Warnings))
	}
}
