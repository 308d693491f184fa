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
	const remedy = "Do: kubectl label namespace app istio.io/rev=mesh-1 --overwrite"
	finding := func(detail, remedy string) policy.Finding {
		return policy.Finding{Rule: mf202, Action: policy.Warn, Detail: detail, Remedy: remedy}
	}
	const head = "MF202 RevisionOfAnotherMesh: "
	long := "To keep it: kubectl label namespace app " + blah(120) + "-"
	other := "To move it: kubectl label namespace app " + blah(130) + "-"
	for _, c := range []struct {
		name string
		v    policy.Verdict
		want []string
	}{
		{name: "if there is nothing to say, then there are no lines"},
		{
			name: "if all fits, then the line is the message",
			v:    policy.Verdict{Warnings: []policy.Finding{finding("a is b", remedy)}},
			want: []string{head + "a is b. " + remedy},
		},
		{
			name: "if it is exactly as long as it may be, then nothing is cut",
			v:    policy.Verdict{Warnings: []policy.Finding{finding(blah(itemLimit-len(head)), "")}},
			want: []string{head + blah(itemLimit-len(head))},
		},
		{
			name: "if it is one character longer, then the detail is cut and the remedy is whole",
			v:    policy.Verdict{Warnings: []policy.Finding{finding(blah(itemLimit-len(head)-len(remedy)-1), remedy)}},
			want: []string{head + blah(itemLimit-len(head)-len(remedy)-1) + " " + remedy},
		},
		{
			name: "if the detail is long, then it is cut and the remedy is whole",
			v:    policy.Verdict{Warnings: []policy.Finding{finding(blah(300), remedy)}},
			want: []string{head + blah(itemLimit-len(head)-len(remedy)-2) + "… " + remedy},
		},
		{
			name: "if the remedy leaves no room, then it has a line of its own after the detail",
			v:    policy.Verdict{Warnings: []policy.Finding{finding(blah(100), long+blah(20)), finding("next", "")}},
			want: []string{head + blah(100), "MF202 remedy: " + long + blah(20), head + "next"},
		},
		{
			name: "if the ways out do not fit into one line, then each has its own",
			v:    policy.Verdict{Warnings: []policy.Finding{finding("a is b", long+". "+other+". Or do nothing")}},
			want: []string{head + "a is b", "MF202 remedy: " + long, "MF202 remedy: " + other + ". Or do nothing"},
		},
		{
			name: "if a command alone is too long, then it is whole all the same",
			v:    policy.Verdict{Warnings: []policy.Finding{finding("a is b", "Do: kubectl "+blah(400))}},
			want: []string{head + "a is b", "MF202 remedy: Do: kubectl " + blah(400)},
		},
		{
			name: "if a text has control characters or bytes that are no characters, then they are replaced",
			v:    policy.Verdict{Warnings: []policy.Finding{finding("a\nb\x1b\xff", "c\td")}, Notes: []string{"e\rf"}},
			want: []string{"e f", head + "a b \ufffd. c d"},
		},
		{
			name: "if two findings have one remedy in a line of its own, then it is said once",
			v:    policy.Verdict{Warnings: []policy.Finding{finding(blah(100), long+blah(20)), finding("b"+blah(100), long+blah(20))}},
			want: []string{head + blah(100), "MF202 remedy: " + long + blah(20), head + "b" + blah(100)},
		},
		{
			name: "if there are notes, then they come first",
			v:    policy.Verdict{Warnings: []policy.Finding{finding("a", "")}, Notes: []string{"one", "two"}},
			want: []string{"one", "two", head + "a"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.v.WarningLines(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkLines(t, c.v)
		})
	}
}

func TestIfThereIsNoRoomForAllFindingsThenTheOthersAreCountedAndNamed(t *testing.T) {
	var v policy.Verdict
	add := func(rule policy.Rule, remedy string) {
		v.Warnings = append(v.Warnings, policy.Finding{Rule: rule, Detail: fmt.Sprint(len(v.Warnings)) + blah(300), Remedy: remedy})
	}
	last := func(want string, lines int) {
		t.Helper()
		checkLines(t, v)
		if got := v.WarningLines(); len(got) != lines || got[len(got)-1] != want {
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

// checkLines finds what would not survive the API server: it is fed with the lines as it would be with a webhook's.
func checkLines(t *testing.T, v policy.Verdict) {
	t.Helper()
	lines, total := v.WarningLines(), 0
	for _, line := range lines {
		total += utf8.RuneCountInString(line)
		if _, err := net.NewWarningHeader(299, "", line); err != nil || line == "" {
			t.Errorf("the API server drops %q: %v", line, err)
		}
		if utf8.RuneCountInString(line) > itemLimit && !strings.Contains(line, " remedy: ") {
			t.Errorf("longer than %d: %q", itemLimit, line)
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

// checkWhole finds a finding that has lost its name or a way out.
func checkWhole(t *testing.T, v policy.Verdict, lines []string) {
	t.Helper()
	text := "\n" + strings.Join(lines, "\n")
	for _, f := range v.Warnings {
		if head := "\n" + string(f.Rule.Code) + " " + f.Rule.Name + ": "; !strings.Contains(text, head) {
			t.Errorf("no line begins with %q in %q", head, lines)
		}
		printable := strings.Map(blankControl, strings.ToValidUTF8(f.Remedy, "\ufffd"))
		for way := range strings.SplitSeq(printable, ". ") {
			if !strings.Contains(text, way) {
				t.Errorf("%q have lost %q", lines, way)
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

func TestWhateverIsFoundTheLinesPassTheAPIServerAndNoCodeOrRemedyIsLost(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	alphabet := []rune("abcdefgh istio.io/rev=mesh-1 \"äß…漢\n\t\x00\u0085\ufffd.,:;")
	text := func(most int) string {
		all := make([]rune, random.IntN(most+1))
		for i := range all {
			all[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(all)
	}
	full := 0
	for range 3000 {
		var v policy.Verdict
		most := []int{10, 100, 300, 700}[random.IntN(4)]
		for range random.IntN(18) {
			rule := policy.Catalogue()[random.IntN(len(policy.Catalogue()))]
			v.Warnings = append(v.Warnings, policy.Finding{Rule: rule, Detail: "d" + text(most), Remedy: text(most)})
		}
		for range random.IntN(3) {
			v.Notes = append(v.Notes, "n"+text(most))
		}
		if checkLines(t, v); t.Failed() {
			t.Fatalf("%+v", v)
		}
		if lines := v.WarningLines(); len(lines) > 0 && strings.HasPrefix(lines[len(lines)-1], "and ") {
			full++
		}
	}
	if full == 0 {
		t.Error("nothing was ever too much")
	}
}
