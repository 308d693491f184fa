// Package check compares what `meshfence check` says of files with what the webhook says when kubectl applies them, on a real API server.
package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/test/harness"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	m.Run()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// suite is a cluster with meshfence in front of it.
type suite struct {
	*harness.Cluster
	binary, dir string
	env         []string
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	cluster, err := harness.Start(t.Context(), harness.Options{})
	must(t, err)
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	must(t, cluster.InstallWorkload(t.Context()))
	_, err = cluster.StartMeshfence(t.Context(), harness.ProcessOptions{})
	must(t, err)
	must(t, cluster.InstallWebhooks(t.Context()))
	root, err := harness.Root()
	must(t, err)
	env, err := cluster.UserEnv()
	must(t, err)
	return &suite{Cluster: cluster, binary: filepath.Join(root, "bin", "meshfence"), dir: t.TempDir(), env: env}
}

// answer is what is said of one object: whether it is refused, the codes of all findings, and the revision that is filled in.
type answer struct {
	Refused bool
	Codes   []string
	Filled  string
}

// document is what is read of a report in JSON.
type document struct {
	Findings []struct {
		Code, Action string
		Object       struct{ Kind, Name string }
	}
	Notices []struct{ Text string }
}

var filledIn = regexp.MustCompile(`meshfence filled in istio\.io/rev=([^ ,]+)`)

// check runs meshfence check on a file.
func (s *suite) check(t *testing.T, file string, args ...string) document {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.binary, slices.Concat([]string{"check", "-f", file, "--against", "cluster", "-o", "json"}, args)...)
	cmd.Env = s.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var d document
	must(t, json.Unmarshal(stdout.Bytes(), &d))
	return d
}

// of is what the report says of an object.
func (d document) of(kind, name string) answer {
	var a answer
	codes := map[string]bool{}
	for _, f := range d.Findings {
		if f.Object.Kind == kind && f.Object.Name == name {
			codes[f.Code] = true
			a.Refused = a.Refused || f.Action == "deny"
		}
	}
	a.Codes = slices.Sorted(maps.Keys(codes))
	return a
}

var code = regexp.MustCompile(`MF\d{3} [A-Z]`)

// apply has kubectl apply a file, and returns what the webhook said.
func (s *suite) apply(t *testing.T, file string) (answer, string) {
	t.Helper()
	_, stderr, err := s.RunKubectl(t.Context(), s.dir, "apply", "-f", file)
	a := answer{Refused: err != nil}
	codes := map[string]bool{}
	for _, found := range code.FindAllString(stderr, -1) {
		codes[found[:5]] = true
	}
	a.Codes = slices.Sorted(maps.Keys(codes))
	if match := filledIn.FindStringSubmatch(stderr); match != nil {
		a.Filled = match[1]
	}
	return a, stderr
}

// object is one of a file: an Istio, a tag or a namespace, with few names and labels, so that they meet.
func object(random *rand.Rand, kind string, number int) map[string]any {
	value := func() string { return fmt.Sprintf("mesh-%d", 1+random.IntN(3)) }
	switch kind {
	case "Istio":
		name := fmt.Sprintf("mesh-%d", 1+number)
		selectors := []any{map[string]any{"matchLabels": map[string]any{"istio-discovery": value()}}}
		if random.IntN(3) == 0 {
			selectors = append(selectors, map[string]any{"matchLabels": map[string]any{"team": []string{"a", "b"}[random.IntN(2)]}})
		}
		spec := map[string]any{"version": "v1.30.3", "namespace": "istio-system-" + name, "values": map[string]any{"meshConfig": map[string]any{"discoverySelectors": selectors}}}
		return map[string]any{"apiVersion": "sailoperator.io/v1", "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec}
	case "IstioRevisionTag":
		spec := map[string]any{"targetRef": map[string]any{"kind": "Istio", "name": value()}}
		return map[string]any{"apiVersion": "sailoperator.io/v1", "kind": kind, "metadata": map[string]any{"name": []string{"default", "stable"}[number%2]}, "spec": spec}
	default:
		labels := map[string]any{}
		for key, values := range map[string][]string{
			"istio-discovery": {"mesh-1", "mesh-2", "mesh-3", "mesh-9"}, "istio.io/rev": {"mesh-1", "mesh-2", "stable", "gone"},
			"istio-injection": {"enabled", "disabled"}, "team": {"a", "b"}, "istio.io/dataplane-mode": {"ambient"},
		} {
			if chance := map[string]int{"istio-discovery": 4, "istio.io/rev": 3, "istio-injection": 1, "team": 1}[key]; random.IntN(6) < chance {
				labels[key] = values[random.IntN(len(values))]
			}
		}
		return map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": fmt.Sprintf("app-%d", number), "labels": labels}}
	}
}

// files draws a set of objects, each once, in any order.
func files(random *rand.Rand) []map[string]any {
	var all []map[string]any
	for i := range 3 {
		if random.IntN(3) == 0 {
			all = append(all, object(random, "Istio", i))
		}
	}
	for i := range 2 {
		if random.IntN(4) == 0 {
			all = append(all, object(random, "IstioRevisionTag", i))
		}
	}
	for i := range 4 {
		if random.IntN(2) == 0 {
			all = append(all, object(random, "Namespace", i))
		}
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// isSent reports whether the API server asks about a namespace at all: it has labels, or had some.
func isSent(o map[string]any) bool {
	labels, _ := o["metadata"].(map[string]any)["labels"].(map[string]any)
	return o["kind"] != "Namespace" || len(labels) > 0
}

// For random sets of files, laid over whatever the sets before have left: what check says of a file alone, and of all in their order, is what the
// webhook says when they are applied for real.
func TestCheckSaysWhatTheWebhookSays(t *testing.T) {
	s := newSuite(t)
	seen := map[string]int{}
	end := time.Now().Add(45 * time.Second)
	sets, objects, refused := 0, 0, 0
	for seed := uint64(1); time.Now().Before(end) && !t.Failed(); seed++ {
		random := rand.New(rand.NewPCG(seed, 17))
		set := files(random)
		if len(set) == 0 {
			continue
		}
		whole := s.write(t, "set.yaml", set...)
		replayed := s.check(t, whole, "--replay")
		sets++
		for i, o := range set {
			kind, name := o["kind"].(string), o["metadata"].(map[string]any)["name"].(string)
			one := s.write(t, fmt.Sprintf("%d.yaml", i), o)
			alone := s.check(t, one)
			got, said := s.apply(t, one)
			want := replayed.of(kind, name)
			if !isSent(o) && len(got.Codes) == 0 && !got.Refused {
				continue
			}
			objects++
			if got.Refused {
				refused++
			}
			for _, code := range got.Codes {
				seen[code]++
			}
			filled := got.Filled
			got.Filled = ""
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("seed %d, %s %s (-check --replay +webhook):\n%s\n%s\nof\n%s", seed, kind, name, diff, said, read(t, whole))
			}
			if filled != "" && !slices.ContainsFunc(replayed.Notices, func(n struct{ Text string }) bool { return strings.Contains(n.Text, "istio.io/rev="+filled) }) {
				t.Errorf("seed %d, %s %s: istio.io/rev=%s was filled in, which check --replay does not say", seed, kind, name, filled)
			}
			if newly := alone.of(kind, name); newly.Refused != got.Refused {
				t.Errorf("seed %d, %s %s: check finds %v newly wrong, the webhook refuses it: %t\n%s\nof\n%s", seed, kind, name, newly.Codes, got.Refused, said, read(t, one))
			}
		}
	}
	t.Logf("%d sets, %d objects, %d refused; %v", sets, objects, refused, seen)
	if refused == 0 || refused == objects || len(seen) < 8 {
		t.Error("too little was compared to show anything")
	}
}

func (s *suite) write(t *testing.T, name string, objects ...map[string]any) string {
	t.Helper()
	var text strings.Builder
	for _, o := range objects {
		one, err := yaml.Marshal(o)
		must(t, err)
		text.WriteString("---\n" + string(one))
	}
	path := filepath.Join(s.dir, name)
	must(t, os.WriteFile(path, []byte(text.String()), 0o600))
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}
