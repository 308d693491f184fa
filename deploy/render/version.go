package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

// chart is what Chart.yaml says of the version.
type chart struct {
	Version    string `json:"version"`
	AppVersion string `json:"appVersion"`
}

// readChart reads it below the working directory.
func readChart() (chart, error) {
	var c chart
	text, err := os.ReadFile(filepath.Join("deploy", "chart", "Chart.yaml"))
	if err != nil {
		return c, err
	}
	return c, yaml.Unmarshal(text, &c)
}

var (
	tagged = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+`)
	// between is what `git describe` adds to the last tag when there are commits after it, and what make adds to a source that is no commit.
	between = regexp.MustCompile(`(-[0-9]+-g[0-9a-f]+|-dirty)$`)
)

// agree refuses the tag of a release that the chart has not been prepared for: chart, manifests and bundle would say another version than the image. What
// is no release may have any version.
func (c chart) agree(version string) error {
	if !tagged.MatchString(version) || between.MatchString(version) || c == (chart{strings.TrimPrefix(version, "v"), version}) {
		return nil
	}
	return fmt.Errorf("the release is %s, and deploy/chart/Chart.yaml has version %s and appVersion %s: set them to %s and %s, run make generate, and tag the commit with that (docs/releasing.md, step 2)",
		version, c.Version, c.AppVersion, strings.TrimPrefix(version, "v"), version)
}

// semantic is a version as charts and bundles have it: without the v. What is no release comes before all releases.
func semantic(version string) string {
	if number, ok := strings.CutPrefix(version, "v"); ok {
		return number
	}
	return "0.0.0-" + version
}
