package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// transcripts are the consoles of the documentation that are replayed, by the name in the comment above each.
var transcripts = regexp.MustCompile("(?s)<!-- transcript: ([a-z]+) -->\n```console\n(.*?)```")

// TestTranscripts replays what docs/install.md shows: each command with a shell, and each output line by line. "..." on a line of its own
// stands for any lines, at the end of a line for its rest.
func TestTranscripts(t *testing.T) {
	w := start(t, nil)
	doc, err := os.ReadFile(filepath.Join(w.root, "docs", "install.md"))
	w.do("read the documentation", err)
	found := transcripts.FindAllStringSubmatch(string(doc), -1)
	if len(found) != 2 {
		t.Fatalf("%d transcripts", len(found))
	}
	for _, transcript := range found {
		for i, command := range strings.Split("\n"+transcript[2], "\n$ ") {
			if i > 0 {
				w.replay(command)
			}
		}
		w.kubectl("delete", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "meshfence")
		if transcript[1] == "helm" {
			w.helm("uninstall", "meshfence", "--namespace", "meshfence-system")
			w.kubectl("delete", "namespace", "meshfence-system")
		}
	}
}

// replay runs the first line of a text and compares what it prints with the others.
func (w *world) replay(text string) {
	w.t.Helper()
	command, want, _ := strings.Cut(text, "\n")
	cmd := exec.CommandContext(w.t.Context(), "sh", "-c", command)
	cmd.Dir = w.root
	got, _ := w.run(cmd, "") // Some commands fail on purpose; what they print says so.
	pattern := regexp.QuoteMeta(strings.TrimSpace(want))
	pattern = strings.ReplaceAll(pattern, `\.\.\.`, `(?s:.*)`)
	if !regexp.MustCompile("^" + pattern + "$").MatchString(strings.TrimSpace(got)) {
		w.t.Fatalf("$ %s\nprints\n%s\nbut the documentation shows\n%s", command, got, want)
	}
}
