package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// A release has one version: the tag's is the chart's.
func TestATagIsWhatTheChartSays(t *testing.T) {
	prepared := chart{Version: "0.2.0", AppVersion: "v0.2.0"}
	for _, version := range []string{"v0.2.0", "v0.2.0-3-g81b2efd", "v0.3.0-dirty", "dev", "dev-dirty"} {
		if err := prepared.agree(version); err != nil {
			t.Errorf("%s: %v", version, err)
		}
	}
	for _, test := range []struct {
		version string
		c       chart
	}{
		{"v0.3.0", prepared}, {"v0.2.0-rc.1", prepared}, {"v0.2.0", chart{"0.2.0", "v0.1.0"}}, {"v0.2.0", chart{"0.1.0", "v0.2.0"}},
	} {
		if err := test.c.agree(test.version); err == nil || !strings.Contains(err.Error(), "docs/releasing.md, step 2") || !strings.Contains(err.Error(), test.c.AppVersion) {
			t.Errorf("%s of %v: %v", test.version, test.c, err)
		}
	}
}

// Both targets that make a part of a release compare.
func TestMakeComparesTheTag(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	for _, args := range [][]string{{"-check", "-version", "v99.0.0"}, {"-version", "v99.0.0", "-image", "registry.example.com/meshfence@sha256:0", "-helm", "/nowhere", "-out", t.TempDir()}} {
		if err := command(args); err == nil || !strings.Contains(err.Error(), "the release is v99.0.0, and deploy/chart/Chart.yaml has version ") {
			t.Errorf("%q: %v", args, err)
		}
	}
	c, err := readChart()
	if err != nil {
		t.Fatal(err)
	}
	if err := command([]string{"-check", "-version", "v" + c.Version}); err != nil {
		t.Error(err)
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{"package": "go run ./deploy/render -check -version '$(STAMP)'", "bundle": "-version '$(STAMP)'"} {
		_, after, _ := strings.Cut(string(makefile), "\n"+target+": ")
		if recipe, _, _ := strings.Cut(after, "\n\n"); !strings.Contains(recipe, want) {
			t.Errorf("make %s does not say %s", target, want)
		}
	}
}

// The bundle has the version that it is told.
func TestTheBundleHasTheVersion(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	rendered, err := os.ReadFile(filepath.Join("deploy", "meshfence-openshift.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]string{"v7.8.9": "7.8.9", "dev": "0.0.0-dev", "v7.8.9-2-g81b2efd": "7.8.9-2-g81b2efd"} {
		dir := t.TempDir()
		if err := writeBundle(dir, rendered, semantic(version)); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "manifests", "meshfence.clusterserviceversion.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var csv struct {
			Metadata struct{ Name string }
			Spec     struct{ Version string }
		}
		if err := yaml.Unmarshal(text, &csv); err != nil {
			t.Fatal(err)
		}
		if csv.Metadata.Name != "meshfence.v"+want || csv.Spec.Version != want {
			t.Errorf("%s: the bundle is %s of version %s", version, csv.Metadata.Name, csv.Spec.Version)
		}
	}
}
