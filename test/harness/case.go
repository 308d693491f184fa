package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
)

// caseTimeout limits one case: a kubectl that waits for something that never comes ends then, and the case fails.
const caseTimeout = 3 * time.Minute

// Status is how a case ended.
type Status int

const (
	// Passed means that every line did what it says.
	Passed Status = iota + 1
	// Failed means that a line did not, or that the case could not be run.
	Failed
	// Skipped means that the script said `skip`.
	Skipped
)

// Result is the outcome of one case.
type Result struct {
	// Name is the file's name without its ending.
	Name string
	// Status is how it ended.
	Status Status
	// Took is how long it took, with the cleaning before it.
	Took time.Duration
	// Output is the script's trace, the last part of it with all that was printed; for a failed case also what
	// meshfence logged and the objects that matter.
	Output string
}

// ErrNoCases means that there is nothing to run.
var ErrNoCases = errors.New("no cases (*.txtar)")

// Cases returns the case scripts in a folder, in the order of their names. It is an error if there are none.
func Cases(dir string) ([]string, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%w: %s is no folder", ErrNoCases, dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%w in %s", ErrNoCases, dir)
	}
	return files, err
}

// RunCase runs one case script from a clean state. See test/cases/README.md for what a script can say.
func (c *Cluster) RunCase(ctx context.Context, file string) Result {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, caseTimeout)
	defer cancel()
	s := &script{ctx: ctx, cluster: c}
	t := &caseT{}
	t.Run("", func(testscript.T) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s.startsItself = startsMeshfence(string(txtar.Parse(text).Comment))
		testscript.RunT(t, s.params(file))
		if problem := c.breakdown(); problem != "" {
			s.diagnosis = c.diagnose()
			t.Fatal("FAIL: " + problem)
		}
	})
	return Result{
		Name:   strings.TrimSuffix(filepath.Base(file), ".txtar"),
		Status: t.status(),
		Took:   time.Since(began),
		Output: t.output() + s.diagnosis,
	}
}

// breakdown tells what fails a case whatever its script says, or "": meshfence must not end by itself, nor panic while it
// answers (the web server then goes on, and logs it).
func (c *Cluster) breakdown() string {
	switch {
	case c.meshfence != nil && c.meshfence.hasEnded():
		return "meshfence ended by itself: " + c.meshfence.cmd.ProcessState.String()
	case strings.Contains(c.MeshfenceLog(), "Observed a panic"):
		return "meshfence panicked, see its log"
	default:
		return ""
	}
}

// startsMeshfence reports whether the first line about meshfence's server in a script starts it. Conditions, negations and
// prefixes before the command do not matter.
func startsMeshfence(text string) bool {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		words = slices.DeleteFunc(words, func(word string) bool {
			return word == "!" || strings.HasPrefix(word, "[") && strings.HasSuffix(word, "]")
		})
		if len(words) > 1 && words[0] == "meshfence" && !slices.Contains(looks(), words[1]) { // to look is no matter of a server
			return words[1] == "start"
		}
	}
	return false
}

// caseT is the T of one script: it keeps what is logged, and runs scripts one after another, since they share a
// cluster.
type caseT struct {
	mu      sync.Mutex
	log     strings.Builder
	failed  bool
	skipped bool
}

var _ testscript.T = (*caseT)(nil)

// Run runs f on a goroutine of its own, which FailNow and Skip end.
func (t *caseT) Run(_ string, f func(testscript.T)) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(t)
	}()
	<-ended
}

func (t *caseT) Log(args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(&t.log, args...)
}

func (t *caseT) Fatal(args ...any) {
	t.Log(args...)
	t.FailNow()
}

func (t *caseT) FailNow() {
	t.mu.Lock()
	t.failed = true
	t.mu.Unlock()
	runtime.Goexit()
}

func (t *caseT) Skip(args ...any) {
	t.Log(args...)
	t.mu.Lock()
	t.skipped = true
	t.mu.Unlock()
	runtime.Goexit()
}

func (t *caseT) Parallel()     {}
func (t *caseT) Verbose() bool { return false }

func (t *caseT) hasFailed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

func (t *caseT) output() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.log.String()
}

func (t *caseT) status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.failed:
		return Failed
	case t.skipped:
		return Skipped
	default:
		return Passed
	}
}
