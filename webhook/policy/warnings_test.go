package policy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/util/net"

	"github.com/meshfence/meshfence/webhook/policy"
)

// The API server's limits (k8s.io/apiserver/pkg/endpoints/filters/warning.go).
const (
	itemLimit  = 256
	totalLimit = 4096
)

// blah is a text of n characters.
func blah(n int) string { return strings.Repeat("x", n) }

func TestWarningLines(t *testing.T) {
	const head = "MF202 RevisionOfAnotherMesh: "
	finding := func(detail, effect string, ways ...policy.Way) policy.Finding {
		return policy.Finding{Rule: mf202, Action: policy.Warn, Detail: detail, Effect: effect, Ways: ways}
	}
	way := func(label string, commands ...string) policy.Way { return policy.Way{Label: label, Commands: commands} }
	keep := "kubectl label namespace app istio.io/rev=mesh-1 --overwrite"
	long, longer := "kubectl label namespace app "+blah(150)+"-", "kubectl label namespace app "+blah(400)+"-"
	for _, c := range []struct {
		name string
		v    policy.Verdict
		want []string
	}{
		{name: "if there is nothing to say, then there are no lines"},
		{
			name: "if all fits, then it is one line",
			v:    warned(finding("a is b", "c comes of it", way("keep it", keep), way("or leave it"))),
			want: []string{head + "a is b; c comes of it; keep it: " + keep + "; or leave it"},
		},
		{
			name: "if a label is a question, then it ends as one",
			v:    warned(finding("a is b", "", way("did you mean that?", keep))),
			want: []string{head + "a is b; did you mean that? " + keep},
		},
		{
			name: "if it is exactly as long as it may be, then nothing is left out",
			v:    warned(finding("a "+blah(itemLimit-len(head)-2), "")),
			want: []string{head + "a " + blah(itemLimit-len(head)-2)},
		},
		{
			name: "if it is one character longer, then it ends before a word",
			v:    warned(finding("a "+blah(itemLimit-len(head)-1), "", way("keep it", keep))),
			want: []string{head + "a…; keep it: " + keep},
		},
		{
			name: "if a list is too long, then it ends between two of its items",
			v:    warned(finding("a in ("+strings.Repeat("value,", 100), "")),
			want: []string{head + "a in (" + strings.Repeat("value,", 35) + "value…"},
		},
		{
			name: "if there is no room for the effect, then it is left out",
			v:    warned(finding(blah(100), "c "+blah(150), way("keep it", keep))),
			want: []string{head + blah(100) + "; keep it: " + keep},
		},
		{
			name: "if there is no room for a way out, then it has a line of its own, and so have those after it",
			v:    warned(finding(blah(100), "", way("move it", long), way("keep it", keep)), finding("next", "")),
			want: []string{head + blah(100), "MF202 remedy: move it: " + long, "MF202 remedy: keep it: " + keep, head + "next"},
		},
		{
			name: "if ways out fit into one line, then they share it",
			v:    warned(finding(blah(200), "", way("keep it", keep), way("take it", keep), way("or leave it"))),
			want: []string{head + blah(200), "MF202 remedy: keep it: " + keep + "; take it: " + keep + "; or leave it"},
		},
		{
			name: "if a way out has several commands, then they can be pasted together",
			v:    warned(finding("a is b", "", way("do", "kubectl a", "kubectl b"))),
			want: []string{head + "a is b; do: kubectl a && kubectl b"},
		},
		{
			name: "if they do not fit into one line, then each has its own",
			v:    warned(finding("a is b", "", way("do", long, long+"=", "kubectl b"))),
			want: []string{head + "a is b; do: " + long, "MF202 remedy: and then: " + long + "=; and then: kubectl b"},
		},
		{
			name: "if a command alone is too long, then it is whole all the same",
			v:    warned(finding("a is b", "", way("do", longer), way("or leave it"))),
			want: []string{head + "a is b; do:", "MF202 remedy: " + longer, "MF202 remedy: or leave it"},
		},
		{
			name: "if a sentence is too long, then it goes on in the next line",
			v:    warned(finding("a is b", "", way(strings.TrimSpace(strings.Repeat("word ", 60))))),
			want: []string{head + "a is b", "MF202 remedy: " + strings.TrimSpace(strings.Repeat("word ", 48)), "MF202 remedy: " + strings.TrimSpace(strings.Repeat("word ", 12))},
		},
		{
			name: "if a text has control characters or bytes that are no characters, then they are replaced",
			v:    policy.Verdict{Warnings: []policy.Finding{finding("a\nb\x1b\xff", "", way("c\td"))}, Notes: []string{"e\rf"}},
			want: []string{"e f", head + "a b \ufffd; c d"},
		},
		{
			name: "if two findings have one remedy in a line of its own, then it is said once",
			v:    warned(finding(blah(100), "", way("move it", long)), finding("b"+blah(100), "", way("move it", long))),
			want: []string{head + blah(100), "MF202 remedy: move it: " + long, head + "b" + blah(100)},
		},
		{
			name: "if there are notes, then they come first",
			v:    policy.Verdict{Warnings: []policy.Finding{finding("a", "")}, Notes: []string{"one", "two"}},
			want: []string{"one", "two", head + "a"},
		},
		{
			name: "if it is about an item of a list, then the item is named",
			v:    warned(policy.Finding{Rule: mf202, Field: "spec.values.meshConfig.discoverySelectors[1]", Detail: "a is b"}),
			want: []string{head + "spec.values.meshConfig.discoverySelectors[1]: a is b"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.v.WarningLines(""), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkLines(t, c.v)
		})
	}
}

func TestIfThereIsNoRoomForAllFindingsThenTheOthersAreCountedAndNamed(t *testing.T) {
	var v policy.Verdict
	add := func(rule policy.Rule, label string) {
		f := policy.Finding{Rule: rule, Detail: fmt.Sprint(len(v.Warnings)) + " " + strings.Repeat("x ", 150)}
		if label != "" {
			f.Ways = []policy.Way{{Label: label}}
		}
		v.Warnings = append(v.Warnings, f)
	}
	last := func(want string, lines int) {
		t.Helper()
		checkLines(t, v)
		if got := v.WarningLines(""); len(got) != lines || got[len(got)-1] != want {
			t.Errorf("%d lines; the last is %q, want %d and %q", len(got), got[len(got)-1], lines, want)
		}
	}
	for range 15 {
		add(mf201, "")
	}
	add(mf202, blah(200))
	last("and 1 more finding: MF202", 16)
	add(mf204, "")
	last("and 2 more findings: MF202, MF204", 16)
	add(mf202, "")
	last("and 3 more findings: MF202, MF204", 16)
}

// A refusal is printed below the name of its object. A warning is printed alone, often among those of other objects.
func TestAWarningNamesItsObject(t *testing.T) {
	const head = "MF202 RevisionOfAnotherMesh: "
	v := policy.Verdict{Warnings: []policy.Finding{
		{Rule: mf202, Field: "metadata.labels", Detail: "it is b"}, {Rule: mf202, Field: "spec.values.meshConfig.discoverySelectors[1]", Detail: "a is b"},
	}}
	for object, want := range map[string][]string{
		`Istio "mesh-1"`: {head + `Istio "mesh-1": it is b`, head + `Istio "mesh-1" spec.values.meshConfig.discoverySelectors[1]: a is b`},
		`Istio "` + strings.Repeat("x", 100) + `"`: {head + "it is b", head + "a is b"}, // longer than what is wrong may be
	} {
		if diff := cmp.Diff(want, v.WarningLines(object)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", object, diff)
		}
	}
}

// checkLines finds what would not survive the API server, which is fed with the lines as it would be with a webhook's, and what no
// warning may be: longer than one may be, without being a word or a command that is; a part of a word, or of a command; without its
// code.
func checkLines(t *testing.T, v policy.Verdict) {
	t.Helper()
	lines, total := v.WarningLines(""), 0
	whole := wholeWords(v)
	for _, line := range lines {
		total += utf8.RuneCountInString(line)
		if _, err := net.NewWarningHeader(299, "", line); err != nil || line == "" {
			t.Errorf("the API server drops %q: %v", line, err)
		}
		text := strings.TrimPrefix(line, remedyOf(line))
		if utf8.RuneCountInString(line) > itemLimit && !whole.commands[text] && strings.Contains(text, " ") {
			t.Errorf("longer than %d: %q", itemLimit, line)
		}
		for word := range strings.FieldsSeq(strings.NewReplacer(",", " ", "…", " ", "; ", " ", ": ", " ").Replace(line)) {
			if word = strings.TrimRight(word, " ,.:;"); word != "" && !whole.words[word] {
				t.Errorf("%q is cut off in %q", word, line)
			}
		}
	}
	if total > totalLimit {
		t.Errorf("%d characters in all", total)
	}
	text := strings.Join(lines, "\n")
	for _, f := range v.Warnings {
		if !strings.Contains(text, string(f.Rule.Code)) {
			t.Errorf("%s is not named in %q", f.Rule.Code, lines)
		}
	}
	if !strings.Contains(text, " more finding") {
		checkWhole(t, v, lines)
	}
}

// remedyOf is what a line begins with that has only ways out, "" if it is no such line.
func remedyOf(line string) string {
	if code, rest, ok := strings.Cut(line, " "); ok && strings.HasPrefix(rest, "remedy: ") {
		return code + " remedy: "
	}
	return ""
}

// whole are the words and the commands of a verdict.
type whole struct{ words, commands map[string]bool }

func wholeWords(v policy.Verdict) whole {
	all := whole{map[string]bool{}, map[string]bool{}}
	add := func(texts ...string) {
		for _, text := range texts {
			for word := range strings.FieldsSeq(strings.NewReplacer(",", " ", "…", " ", "; ", " ", ": ", " ").Replace(printable(text))) {
				all.words[strings.TrimRight(word, " ,.:;")] = true
			}
		}
	}
	add("remedy && and then and more finding findings", fmt.Sprint(len(v.Warnings)))
	for i := range v.Warnings {
		add(fmt.Sprint(i))
	}
	add(v.Notes...)
	for _, f := range v.Warnings {
		add(string(f.Rule.Code), f.Rule.Name, f.Field)
		add(texts(f)...)
		for _, way := range f.Ways {
			for _, command := range way.Commands {
				all.commands[printable(command)] = true
			}
		}
	}
	return all
}

func printable(text string) string {
	return strings.Map(blankControl, strings.ToValidUTF8(text, "\ufffd"))
}

// checkWhole finds a finding that has lost its name, a command, or a word of a label.
func checkWhole(t *testing.T, v policy.Verdict, lines []string) {
	t.Helper()
	text := "\n" + strings.Join(lines, "\n")
	for _, f := range v.Warnings {
		if head := "\n" + string(f.Rule.Code) + " " + f.Rule.Name + ": "; !strings.Contains(text, head) {
			t.Errorf("no line begins with %q in %q", head, lines)
		}
		for _, way := range f.Ways {
			for _, command := range way.Commands {
				if !strings.Contains(text, printable(command)) {
					t.Errorf("%q have lost %q", lines, command)
				}
			}
			for word := range strings.FieldsSeq(printable(way.Label)) {
				if !strings.Contains(text, word) {
					t.Errorf("%q have lost %q of %q", lines, word, way.Label)
				}
			}
		}
	}
}

func blankControl(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

func TestWhateverIsFoundTheLinesPassTheAPIServerAndNothingIsCutInTheMiddle(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	alphabet := []rune("abcdefgh istio.io/rev=mesh-1 \"äß…漢\n\t\x00\u0085\ufffd.,:;")
	text := func(most int) string {
		all := make([]rune, random.IntN(most+1))
		for i := range all {
			all[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(all)
	}
	full, long := 0, 0
	for range 3000 {
		var v policy.Verdict
		most := []int{10, 100, 300, 700}[random.IntN(4)]
		for range random.IntN(18) {
			f := policy.Finding{Rule: policy.Catalogue()[random.IntN(len(policy.Catalogue()))], Detail: "d" + text(most), Effect: text(most)}
			for range random.IntN(4) {
				way := policy.Way{Label: "l" + text(most/2)}
				for range random.IntN(4) {
					way.Commands = append(way.Commands, "kubectl "+text(most))
				}
				f.Ways = append(f.Ways, way)
			}
			v.Warnings = append(v.Warnings, f)
		}
		for range random.IntN(3) {
			v.Notes = append(v.Notes, "n"+text(most))
		}
		if checkLines(t, v); t.Failed() {
			t.Fatalf("%+v", v)
		}
		for _, line := range v.WarningLines("") {
			if strings.HasPrefix(line, "and ") {
				full++
			}
			if utf8.RuneCountInString(line) > itemLimit {
				long++
			}
		}
	}
	if full == 0 || long == 0 {
		t.Errorf("too much %d times, a command too long %d times", full, long)
	}
}
