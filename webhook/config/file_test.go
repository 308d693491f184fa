package config

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

const fileHeader = "apiVersion: meshfence.io/v1alpha1\nkind: Configuration\n"

// running is a configuration file that is watched.
type running struct {
	*File
	path     string
	registry *prometheus.Registry

	mu  sync.Mutex
	log []map[string]any
	// used are the configurations that were handed on.
	used []*Configuration
}

// watch opens a file and watches it until the test ends.
func watch(t *testing.T, path string, change func(*File)) *running {
	t.Helper()
	file, err := Open(path, []string{"MF101", "MF110"})
	if err != nil {
		t.Fatal(err)
	}
	file.pollEvery = time.Hour // what these tests wait for has to come with an event, unless they say otherwise
	if change != nil {
		change(file)
	}
	r := &running{File: file, path: path, registry: prometheus.NewRegistry()}
	if err := file.Register(r.registry); err != nil {
		t.Fatal(err)
	}
	file.OnChange(func(c *Configuration) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.used = append(r.used, c)
	})
	logger := funcr.NewJSON(func(line string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		fields := map[string]any{}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Error(err)
		}
		r.log = append(r.log, fields)
	}, funcr.Options{})
	ctx, cancel := context.WithCancel(logr.NewContext(context.Background(), logger))
	ended := make(chan error)
	go func() { ended <- file.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

// lines returns what was logged so far.
func (r *running) lines() []map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log[:len(r.log):len(r.log)]
}

// metric returns a metric's value; result is "" for one without that label.
func (r *running) metric(t *testing.T, name, result string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (result == "" || m.GetLabel()[0].GetValue() == result) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s %s", name, result)
	return 0
}

// wantCounts fails unless so many changes were taken over and refused, and the last one was valid or not.
func (r *running) wantCounts(t *testing.T, when string, ok, refused, valid float64) {
	t.Helper()
	const reloads = "meshfence_configuration_reloads_total"
	got := []float64{r.metric(t, reloads, "ok"), r.metric(t, reloads, "refused"), r.metric(t, "meshfence_configuration_valid", "")}
	if diff := cmp.Diff([]float64{ok, refused, valid}, got); diff != "" {
		t.Errorf("%s: ok, refused, valid (-want +got):\n%s", when, diff)
	}
}

func soon(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(15 * time.Second)
	for !condition() {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("not within 15 seconds: %s", what)
		}
	}
}

func (r *running) wantMode(t *testing.T, when string, mode Mode) {
	t.Helper()
	soon(t, when+": mode "+string(mode), func() bool { return r.Current().Mode == mode })
}

func (r *running) wantLines(t *testing.T, when string, count int) {
	t.Helper()
	soon(t, when, func() bool { return len(r.lines()) >= count })
	if got := r.lines(); len(got) != count {
		t.Fatalf("%s: logged %d lines, want %d: %v", when, len(got), count, got)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inPlace writes the file as cp does.
func inPlace(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

// renamed writes the file as an editor does: another file, which takes its name.
func renamed(t *testing.T, path, text string) {
	t.Helper()
	inPlace(t, path+"~", text)
	must(t, os.Rename(path+"~", path))
}

// mounted writes the file as the kubelet does in a ConfigMap volume: a new folder, a symbolic link ..data that is replaced
// by one that points there, and then the old folder goes away. The file itself is a link through ..data.
func mounted(t *testing.T, path, text string) {
	t.Helper()
	dir := filepath.Dir(path)
	fresh, err := os.MkdirTemp(dir, "..version-")
	must(t, err)
	inPlace(t, filepath.Join(fresh, filepath.Base(path)), text)
	data := filepath.Join(dir, volumeLink)
	old, _ := os.Readlink(data) // There is none the first time.
	must(t, os.Symlink(filepath.Base(fresh), data+"_tmp"))
	must(t, os.Rename(data+"_tmp", data))
	if old == "" {
		must(t, os.Symlink(filepath.Join(volumeLink, filepath.Base(path)), path))
		return
	}
	must(t, os.RemoveAll(filepath.Join(dir, old)))
}

func TestAChangedFileIsInUseAndARefusedOneIsNot(t *testing.T) {
	for name, write := range map[string]func(t *testing.T, path, text string){
		"written in place": inPlace, "renamed": renamed, "a ConfigMap volume": mounted,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			write(t, path, fileHeader)
			r := watch(t, path, nil)
			r.wantCounts(t, "at the start", 0, 0, 1)
			write(t, path, fileHeader+"mode: warn\n")
			r.wantMode(t, "changed", ModeWarn)
			r.wantLines(t, "changed", 1)
			r.wantCounts(t, "changed", 1, 0, 1)
			write(t, path, fileHeader+"mode: off\n")
			r.wantLines(t, "a mistake", 2)
			r.wantMode(t, "a mistake", ModeWarn)
			r.wantCounts(t, "a mistake", 1, 1, 0)
			write(t, path, fileHeader+"mode: enforce\n")
			r.wantMode(t, "corrected", ModeEnforce)
			r.wantLines(t, "corrected", 3)
			r.wantCounts(t, "corrected", 2, 1, 1)
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(r.used) != 2 || r.used[0].Mode != ModeWarn || r.used[1] != r.Current() {
				t.Errorf("%d configurations were handed on, want warn, and the one in use", len(r.used))
			}
		})
	}
}

func TestTheLogSaysWhatIsInUseAndEverythingThatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	inPlace(t, path, fileHeader)
	r := watch(t, path, nil)
	inPlace(t, path, fileHeader+"rules: {MF110: off}\ndiscoveryLabels: [team]\nfillFrom: []\n")
	r.wantLines(t, "changed", 1)
	inPlace(t, path, "apiVersion: meshfence.io/v1alpha1\nmode: off\nrules: {MF999: deny}\ndiscoveryLabel: [mesh]\n")
	r.wantLines(t, "mistakes", 2)
	want := []map[string]any{{
		"logger": "", "level": 0.0, "msg": "the changed configuration file is in use", "file": path, "absent": false,
		"mode": "enforce", "rules": map[string]any{"MF110": "off"}, "discoveryLabels": []any{"team"}, "exemptNamespaces": []any{"kube-system", "kube-public", "kube-node-lease", "openshift", "openshift-*"},
		"exemptUsers":            []any{"system:apiserver", "system:kube-controller-manager", "system:serviceaccount:kube-system:namespace-controller"},
		"controlPlaneNamespaces": []any{"istio-system*"}, "fillFrom": []any{}, "meshMap": "mesh-map",
	}, {
		"logger": "", "file": path,
		"msg": "refused the changed configuration file as a whole; the configuration from before stays in use until the file is corrected",
		"error": `kind: Required value: a configuration file must have it; ` +
			`line 2: mode: Unsupported value: "off": supported values: "enforce", "warn"; ` +
			`line 3: rules[MF999]: Invalid value: there is no rule with this code; did you mean "MF101"?; ` +
			`line 4: discoveryLabel: Invalid value: there is no such field; did you mean "discoveryLabels"? ` +
			`(fields here: apiVersion, kind, mode, rules, discoveryLabels, exemptNamespaces, exemptUsers, controlPlaneNamespaces, fillFrom, meshMap)`,
	}}
	if diff := cmp.Diff(want, r.lines()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAMissingFileIsRefusedAndTheSameOneIsGoodAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	inPlace(t, path, fileHeader+"mode: warn\n")
	r := watch(t, path, nil)
	must(t, os.Remove(path))
	r.wantLines(t, "removed", 1)
	r.wantCounts(t, "removed", 0, 1, 0)
	r.wantMode(t, "removed", ModeWarn)
	want := "the configuration file cannot be read: open " + path + ": no such file or directory"
	if diff := cmp.Diff(want, r.lines()[0]["error"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	inPlace(t, path, fileHeader+"mode: warn\n")
	r.wantLines(t, "it is there again", 2)
	r.wantCounts(t, "it is there again", 1, 1, 1)
}

// The poll comes some hundred times here, and every event that is not a change.
func TestNothingIsSaidTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	inPlace(t, path, fileHeader)
	// A file that is written in place is empty for a moment, on a busy machine for a longer one.
	r := watch(t, path, func(f *File) { f.pollEvery, f.stableFor = time.Millisecond, 500*time.Millisecond })
	for i, text := range []string{fileHeader + "mode: off\n", fileHeader + "mode: warn\n", fileHeader} {
		inPlace(t, path, text)
		r.wantLines(t, "changed", i+1)
		for range 20 {
			inPlace(t, path, text)
		}
		must(t, os.Chmod(path, 0o644))
		renamed(t, path, text)
	}
	ended := time.After(1500 * time.Millisecond)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for isOver := false; !isOver; {
		select {
		case <-ticker.C:
			r.wantLines(t, "nothing has changed", 3)
		case <-ended:
			isOver = true
		}
	}
	r.wantCounts(t, "nothing has changed", 2, 1, 1)
}

// A file that is written in place bit by bit is for a moment empty, or half there, and half of it may even be valid.
func TestAFileThatIsBeingWrittenIsNotJudged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	inPlace(t, path, fileHeader)
	r := watch(t, path, func(f *File) { f.stableFor = time.Second })
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for _, part := range []string{"apiVersion: meshfence.io/v1alpha1\n", "kind: Configuration\n", "mode: warn\n", "rules:\n", "  MF110: off\n", "  MF101:", " off\n"} {
		<-ticker.C
		_, err := file.WriteString(part)
		must(t, err)
	}
	r.wantMode(t, "written", ModeWarn)
	r.wantLines(t, "written", 1)
	r.wantCounts(t, "written", 1, 0, 1)
	if len(r.Current().Rules) != 2 {
		t.Errorf("half of the file is in use: %+v", r.Current())
	}
}

// What two looks find can be the same by chance, for example nothing, while somebody writes between them.
func TestAFileThatIsWrittenBetweenTwoLooksIsNotJudged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	inPlace(t, path, fileHeader)
	r := watch(t, path, func(f *File) { f.stableFor = time.Second })
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for range 40 {
		inPlace(t, path, "")
		<-ticker.C
	}
	inPlace(t, path, fileHeader+"mode: warn\n")
	r.wantMode(t, "written", ModeWarn)
	r.wantLines(t, "written", 1)
}

func TestWithoutEventsTheFileIsLookedAtFromTimeToTime(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "real.yaml")
	path := filepath.Join(t.TempDir(), "config.yaml")
	inPlace(t, elsewhere, fileHeader)
	must(t, os.Symlink(elsewhere, path))
	r := watch(t, path, func(f *File) { f.pollEvery = 10 * time.Millisecond })
	inPlace(t, elsewhere, fileHeader+"mode: warn\n")
	r.wantMode(t, "changed behind a link into another folder", ModeWarn)
}

func TestAFolderThatWasReplacedIsLookedAtFromTimeToTime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	path := filepath.Join(dir, "config.yaml")
	must(t, os.Mkdir(dir, 0o700))
	inPlace(t, path, fileHeader)
	r := watch(t, path, func(f *File) { f.pollEvery = 10 * time.Millisecond })
	must(t, os.RemoveAll(dir))
	soon(t, "the missing file is noticed", func() bool { return r.metric(t, "meshfence_configuration_valid", "") == 0 })
	must(t, os.Mkdir(dir, 0o700))
	inPlace(t, path, fileHeader+"mode: warn\n")
	r.wantMode(t, "there again", ModeWarn)
}

// Between the start of the program and that of the watch lies the wait for the serving certificate.
func TestAChangeBeforeTheWatchBeginsIsNotMissed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	inPlace(t, path, fileHeader)
	r := watch(t, path, func(*File) { inPlace(t, path, fileHeader+"mode: warn\n") })
	r.wantMode(t, "changed before Start", ModeWarn)
}

func TestOpenWithoutAFileStandsForTheDefaults(t *testing.T) {
	file, err := Open("", nil)
	must(t, err)
	if diff := cmp.Diff(Default(), file.Current()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := file.Start(t.Context()); err != nil || file.NeedLeaderElection() {
		t.Errorf("Start: %v, only on the leader: %t", err, file.NeedLeaderElection())
	}
}

func TestOpenRefusesWhatLoadRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if _, err := Open(path, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	inPlace(t, path, fileHeader+"mode: off\n")
	var invalid *InvalidError
	if _, err := Open(path, nil); !errors.As(err, &invalid) || !strings.HasPrefix(err.Error(), "line 3: mode") {
		t.Errorf("a mistake: %v", err)
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	file, err := Open("", nil)
	must(t, err)
	registry := prometheus.NewRegistry()
	must(t, file.Register(registry))
	if file.Register(registry) == nil {
		t.Error("no error for a second registration")
	}
}

// An optional file may come and go; a file with a mistake is refused all the same.
func TestAnOptionalFileComesAndGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	file, err := OpenOptional(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), file.Current()); diff != "" {
		t.Errorf("without a file (-defaults +got):\n%s", diff)
	}
	if _, err := Open(path, nil); err == nil {
		t.Error("a file that is not optional need not exist")
	}
	file.stableFor = time.Millisecond
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file.reload(t.Context())
	}
	if write(fileHeader + "mode: warn\n"); file.Current().Mode != ModeWarn {
		t.Errorf("with a file the mode is %s", file.Current().Mode)
	}
	if write("mode: on\n"); file.Current().Mode != ModeWarn {
		t.Errorf("with a mistake in it the mode is %s", file.Current().Mode)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	file.reload(t.Context())
	if diff := cmp.Diff(Default(), file.Current()); diff != "" {
		t.Errorf("without the file again (-defaults +got):\n%s", diff)
	}
	if err := os.WriteFile(path, []byte("mode: on\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOptional(path, nil); err == nil {
		t.Error("a file with a mistake is taken")
	}
}
