package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const conditionsFile = "deploy/chart/templates/_conditions.tpl"

// The expressions are written in webhook/match alone; the chart has them from there.
func TestTheChartsConditionsAreThoseOfWebhookMatch(t *testing.T) {
	out := t.TempDir()
	if err := os.MkdirAll(filepath.Join(out, filepath.Dir(conditionsFile)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeConditions(out); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(out, conditionsFile))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join("../..", conditionsFile))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run make generate (-webhook/match +chart):\n%s", diff)
	}
	err = filepath.WalkDir("../../deploy/chart", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, filepath.Base(conditionsFile)) {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "oldObject.?metadata") {
			t.Errorf("%s has an expression about namespaces of its own", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
