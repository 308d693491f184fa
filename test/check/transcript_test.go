package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/test/harness"
	"github.com/meshfence/meshfence/test/harness/transcript"
)

// The consoles of docs/check.md and docs/explain.md print what they show.
func TestTranscripts(t *testing.T) {
	root, err := harness.Root()
	must(t, err)
	replayDocument(t, root, filepath.Join("docs", "explain.md"))
	all := replayDocument(t, root, filepath.Join("docs", "check.md"))
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	must(t, err)
	if first := all[0].Commands[0]; !strings.Contains(string(readme), "$ "+first.Line+"\n"+strings.TrimSpace(first.Output)) {
		t.Errorf("README.md shows something else than docs/check.md:\n%s", first.Output)
	}
}

func replayDocument(t *testing.T, root, document string) []transcript.Transcript {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(filepath.Join(dir, "manifests"), os.DirFS(filepath.Join("testdata", "manifests"))))
	env := []string{"PATH=" + filepath.Join(root, "bin") + string(os.PathListSeparator) + os.Getenv("PATH"), "KUBECONFIG=" + os.DevNull, "HOME=" + dir}
	all, err := transcript.Read(document)
	must(t, err)
	for _, one := range all {
		t.Run(one.Name, func(t *testing.T) {
			if _, err := transcript.ReplayIn(t.Context(), document, one.Name, dir, env); err != nil {
				t.Error(err)
			}
		})
	}
	if len(all) < 2 {
		t.Fatalf("%s has %d transcripts", document, len(all))
	}
	return all
}
