package build

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// workflow is one of .github/workflows, as far as it is compared here.
type workflow struct {
	text string
	Jobs map[string]struct {
		Needs string
		Env   map[string]string
		Steps []struct {
			Uses, Run string
			With      map[string]any
		}
	}
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", ".github", "workflows", "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	all := map[string]workflow{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		w := workflow{text: string(text)}
		if err := yaml.Unmarshal(text, &w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = w
	}
	return all
}

// The workflows build with the Go of the Dockerfile, so that the image is the same. go.mod names the oldest that is enough, and setup-go would take exactly that.
func TestTheWorkflowsHaveTheGoOfTheDockerfile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`golang:([0-9.]+)@`).FindSubmatch(text)
	if found == nil {
		t.Fatal("the Dockerfile has no golang:VERSION@")
	}
	for file, w := range workflows(t) {
		for name, job := range w.Jobs {
			set := 0
			for _, step := range job.Steps {
				if !strings.HasPrefix(step.Uses, "actions/setup-go@") {
					continue
				}
				set++
				if step.With["go-version"] != string(found[1]) || step.With["go-version-file"] != nil {
					t.Errorf("%s, %s: setup-go has %v, the Dockerfile Go %s: give go-version that", file, name, step.With, found[1])
				}
			}
			if set != 1 {
				t.Errorf("%s, %s: %d steps set Go up", file, name, set)
			}
		}
	}
}

// A tag can be moved to another commit, with the workflow's rights; a commit cannot. The comment is for people, and for Dependabot.
func TestActionsAreNamedByCommit(t *testing.T) {
	pinned := regexp.MustCompile(`^uses: [a-z-]+/[a-z-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+$`)
	uses := regexp.MustCompile(`uses:.*`)
	for file, w := range workflows(t) {
		for _, line := range uses.FindAllString(w.text, -1) {
			if !pinned.MatchString(line) {
				t.Errorf("%s: %s: name the commit, and its tag in a comment, as in actions/checkout@11d5960a326750d5838078e36cf38b85af677262 # v4.4.0", file, line)
			}
		}
	}
}

// What does not pass is not released, and what is released has the tag's version.
func TestAReleaseIsVerifiedFirst(t *testing.T) {
	jobs := workflows(t)["release.yaml"].Jobs
	runs := func(job string) []string {
		var all []string
		for _, step := range jobs[job].Steps {
			all = append(all, step.Run)
		}
		return all
	}
	if !slices.Contains(runs("verify"), "make verify") {
		t.Errorf("the job verify runs %q", runs("verify"))
	}
	for name, job := range jobs {
		if name != "verify" && job.Needs != "verify" {
			t.Errorf("the job %s needs %q, not verify", name, job.Needs)
		}
	}
	for job, want := range map[string]string{
		"plugin": `make plugin VERSION="$GITHUB_REF_NAME"`, "image": `make image package VERSION="$GITHUB_REF_NAME"`, "verify": `make package VERSION="$GITHUB_REF_NAME"`,
	} {
		if !slices.Contains(runs(job), want) {
			t.Errorf("the job %s lacks %q: %q", job, want, runs(job))
		}
	}
	if got := jobs["image"].Env["MESHFENCE_BUILDER_ID"]; got != "${{ github.server_url }}/${{ github.workflow_ref }}" {
		t.Errorf("the builder is called %q", got)
	}
}
