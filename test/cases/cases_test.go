// Package cases holds the case scripts (*.txtar) and runs them as tests. README.md says how to write one.
package cases

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/test/harness"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// TestCases runs every script with the slim definitions and, if their folder is there, with the operator's own:
// TestCases/real/dry-run. CRDS=slim, real or both chooses.
func TestCases(t *testing.T) {
	files, err := harness.Cases(".")
	if err != nil {
		t.Fatal(err)
	}
	sets, err := harness.ChooseCRDSets(os.Getenv("CRDS"), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		t.Run(string(set), func(t *testing.T) { runCases(t, set, files) })
	}
}

func runCases(t *testing.T, set harness.CRDSet, files []string) {
	cluster, err := harness.Start(t.Context(), harness.Options{CRDs: set})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			if result := cluster.RunCase(t.Context(), file); result.Status != harness.Passed {
				t.Error("\n" + result.Output)
			}
		})
	}
}
