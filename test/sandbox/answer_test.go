package main

import (
	"io/fs"
	"strings"
	"testing"
)

func TestAnswersAreReadFromWhatKubectlPrints(t *testing.T) {
	for _, test := range []struct {
		stderr    string
		succeeded bool
		want      answer
		text      string
	}{
		{"", true, admitted, ""},
		{"Warning: meshfence filled in istio.io/rev=a\n", true, filledIn, "meshfence filled in istio.io/rev=a"},
		{"Warning: MF203 x\nWarning: y\n", true, warned, "MF203 x\ny"},
		{"The Namespace is invalid: a: MF202 Xy: z\n", false, refused, "The Namespace is invalid: a: MF202 Xy: z"},
		{"Error from server: failed calling webhook\n", false, failed, "Error from server: failed calling webhook"},
		{"error: no such file\n", false, failed, "error: no such file"},
	} {
		got, text := read(test.stderr, test.succeeded)
		if got != test.want || text != test.text {
			t.Errorf("read(%q) = %s, %q; want %s, %q", test.stderr, got, text, test.want, test.text)
		}
	}
}

func TestTextIsBrokenAtSpaces(t *testing.T) {
	got := wrap("a bc def\nghijk l", "> ", 4)
	if want := "> a bc\n> def\n> ghijk\n> l\n"; got != want {
		t.Errorf("wrap = %q, want %q", got, want)
	}
}

func TestTheReplaysFilesAreThere(t *testing.T) {
	used := map[string]bool{}
	for _, section := range replay() {
		for _, step := range section.steps {
			words := strings.Fields(step.kubectl)
			for i, word := range words {
				if word == "-f" {
					used[words[i+1]] = true
				}
			}
		}
	}
	entries, err := fs.ReadDir(manifests, "manifests")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !used[entry.Name()] {
			t.Errorf("%s is not used", entry.Name())
		}
		delete(used, entry.Name())
	}
	for name := range used {
		t.Errorf("%s is not there", name)
	}
}
