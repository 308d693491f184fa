package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/meshfence/meshfence/test/harness"
)

// cpu is the time that a process has run on any core since its start. The kernel counts it in nanoseconds for each thread
// (Documentation/scheduler/sched-stats.rst); /proc/PID/stat has steps of ten milliseconds, too coarse for a round.
func cpu(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("process %d has no threads: %w", pid, err)
	}
	var total time.Duration
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		nanoseconds, err := strconv.ParseInt(strings.Fields(string(content))[0], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		total += time.Duration(nanoseconds)
	}
	return total, nil
}

// resident is the memory in MiB that a process occupies (VmRSS, proc(5)).
func resident(pid int) (float64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kibibytes, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 64)
			return kibibytes / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}

// noAudit has meshfence do nothing but answer requests. What the audit costs is measured by itself: each change of a mesh or of a namespace has it run,
// and here they change all the time.
const noAudit = "--audit-interval=0"

func withoutAudit() harness.ProcessOptions { return harness.ProcessOptions{Args: []string{noAudit}} }

// restsFor is how long memory must not change to be that of a process at rest: longer than meshfence takes to give back what
// its start has left over.
const (
	restsFor = 3 * time.Second
	restPoll = 200 * time.Millisecond
	restTime = 20 * time.Second
)

// atRest is the memory in MiB when it does not change any more.
func atRest(ctx context.Context, pid int) (float64, error) {
	last, since := 0.0, time.Now()
	err := wait.PollUntilContextTimeout(ctx, restPoll, restTime, true, func(context.Context) (bool, error) {
		now, err := resident(pid)
		if math.Abs(now-last) > 0.1 {
			last, since = now, time.Now()
		}
		return time.Since(since) >= restsFor, err
	})
	if wait.Interrupted(err) {
		return 0, errors.Join(errors.New("the memory of the process changes all the time"), err)
	}
	return last, err
}
