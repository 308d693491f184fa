package install

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/test/harness/transcript"
)

// TestTranscripts replays how docs/install.md installs meshfence where nothing else is needed. The other transcripts there are replayed where a
// test has what they begin with; those with cert-manager in test/foreign.
func TestTranscripts(t *testing.T) {
	w := start(t, nil)
	w.replay("helm")
	w.replay("second")
	w.kubectl("delete", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "other")
	w.helm("uninstall", "other", "--namespace", "other-system")
	w.replay("remove-with-helm")
	w.gone("meshfence")
	w.replay("remove-the-rest")
	w.replay("kubectl")
	w.eventually("meshfence judges", w.guarded)
}

// replay replays a transcript, and returns what it printed.
func (w *world) replay(name string) string {
	w.t.Helper()
	printed, err := transcript.Replay(w.t.Context(), w.Cluster, name)
	w.do("replay "+name, err)
	return printed
}

// No console of docs/install.md is left out, and no command stands outside of one.
func TestEveryTranscriptIsReplayed(t *testing.T) {
	all, err := transcript.Read(filepath.Join("docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, folder := range []string{"install", "foreign"} {
		files, err := filepath.Glob(filepath.Join(mustRoot(t), "test", folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tests.Write(text)
		}
	}
	var missed []string
	for _, console := range all {
		if !strings.Contains(tests.String(), `replay("`+console.Name+`")`) {
			missed = append(missed, console.Name)
		}
	}
	slices.Sort(missed)
	if len(missed) > 0 || len(all) < 10 {
		t.Errorf("of %d transcripts in docs/install.md no test replays %q", len(all), missed)
	}
}
