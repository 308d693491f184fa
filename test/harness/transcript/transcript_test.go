package transcript

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	const good = "text\n<!-- transcript: a-b -->\n```console\n$ helm version\nv4\n...\n$ kubectl get x\n```\n"
	all, err := Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	want := []Transcript{{Name: "a-b", Commands: []Command{{Line: "helm version", Output: "v4\n..."}, {Line: "kubectl get x"}}}}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for what, document := range map[string]string{
		"has no name":          "```console\n$ helm version\n```\n",
		"one that another has": good + good,
		"not in a transcript":  "text:\n\n    kubectl get pods\n",
		"has no commands":      "<!-- transcript: a -->\n```console\nv4\n```\n",
	} {
		if _, err := Parse(document); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%q: %v", document, err)
		}
	}
}

// A command that nobody replays is found wherever Markdown shows one.
func TestLoose(t *testing.T) {
	for document, want := range map[string]string{
		"text:\n\n    kubectl get pods\n":                   "    kubectl get pods",
		"text:\n\n\t$ oc get pods\n":                        "\t$ oc get pods",
		"```\nkubectl get pods\n```\n":                      "```",
		"```sh\nkubectl get pods\n```\n":                    "```sh",
		"```bash\nmake build\n```\n":                        "```bash",
		"```shell-session\n$ helm version\n```\n":           "```shell-session",
		"```console title\n$ helm version\n```\n":           "```console title",
		"~~~\nkubectl get pods\n~~~\n":                      "~~~",
		"- text\n  ```sh\n  kubectl get pods\n  ```\n":      "  ```sh",
		"```yaml\na: b\n```\n```sh\nhelm version\n```\n":    "```sh",
		"```yaml\na: b\n$ kubectl get pods\n```\n":          "$ kubectl get pods",
		"```yaml\na: b\n```\n\n    helm version\n":          "    helm version",
		"```hcl\nprovider \"a\" {}\n```\n":                  "",
		"```hcl\na {\n  kubectl get pods\n}\n```\n":         "  kubectl get pods",
		"```hcl title\na = 1\n```\n":                        "```hcl title",
		"```yaml\na:\n    b: kubectl get pods\n```\n":       "",
		"```console\n$ helm version\n    helm v4\n```\n":    "",
		"kubectl or\noc apply does it, and `helm template`": "",
	} {
		if got := loose(document); got != want {
			t.Errorf("%q: %q, not %q", document, got, want)
		}
	}
}

// What is printed is compared as a whole: a line more or less, or another one, is an error.
func TestCheck(t *testing.T) {
	for _, test := range []struct {
		documented, printed string
		fits                bool
	}{
		{"a\nb", "a\nb\n", true},
		{"a\n...\nd", "a\nb\nc\nd\n", true},
		{"...\nb", "b", true},
		{"a\n...", "a", true},
		{"a ... c", "a b\nb c", false},
		{"created at ... by me", "created at noon by me", true},
		{"", "", true},
		{"a", "a\nb", false},
		{"a\nb", "a", false},
		{"a.c", "abc", false},
		{"", "error", false},
		{"...\nsucceeded", "it failed", false},
	} {
		if err := (Command{Output: test.documented}).Check(test.printed); (err == nil) != test.fits {
			t.Errorf("%q beside %q: %v", test.printed, test.documented, err)
		}
	}
}

// Whether a command succeeds is as documented as what it prints.
func TestExitCodes(t *testing.T) {
	const invalid = `The Namespace "a" is invalid: no`
	for _, test := range []struct {
		line, documented string
		fits             bool
	}{
		{"echo a", "a", true},
		{"echo a; exit 1", "a", false},
		{"exit 1", "", false},
		{"exit 1", "...", false},
		{"echo Error: no; exit 1", "Error: no", true},
		{"echo Error: no", "Error: no", false},
		{"echo Errors are counted", "Errors are counted", true},
		{"echo '" + invalid + "'; exit 1", "...\n" + invalid, true},
		{"echo '" + invalid + "'", "...\n" + invalid, false},
		{"echo '" + invalid + "'; exit 1", `The Namespace "a" is invalid: ...`, true},
		{"echo '" + invalid + "'; echo b; exit 1", invalid + "\nb", false},
		{"echo '" + invalid + "'; echo b; exit 1", invalid + "\n...", true},
		{"echo '" + invalid + "'; echo '  b'; exit 1", invalid + "\n  b", true},
		{"echo '" + invalid + "'; echo '  b'", invalid + "\n  b", false},
		{"echo '" + invalid + "'; echo b", invalid + "\nb", true},
		{"echo Error: no; exit 1", "Error: yes", false},
		{"echo Error: no; kill $$", "Error: no", false},
	} {
		printed, err := (Command{Line: test.line, Output: test.documented}).run(t.Context(), t.TempDir(), nil)
		if (err == nil) != test.fits {
			t.Errorf("%s, documented as %q, prints %q: %v", test.line, test.documented, printed, err)
		}
	}
}
