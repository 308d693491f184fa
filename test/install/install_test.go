// Package install installs meshfence as users do, from the rendered files and with Helm, into a real API server whose Services
// lead to meshfence's processes (see harness.Node), and upgrades, tests and removes it there.
package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/test/harness"
)

// limit bounds every wait of these tests.
const limit = time.Minute

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// world is a cluster with a node, and what it takes to use it.
type world struct {
	*harness.Cluster
	t    *testing.T
	root string
}

// start starts a cluster that all parts of a test use, one after the other. Tests with a cluster mostly wait, so they run beside
// each other. The API server's further flags are without the leading dashes.
func start(t *testing.T, flags map[string]string) *world {
	t.Helper()
	t.Parallel()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := harness.Start(t.Context(), harness.Options{WithNode: true, APIServerFlags: flags})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%v\n%.20000s", cluster.Node.Err(), cluster.Node.Logs())
		}
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &world{Cluster: cluster, t: t, root: root}
}

// try runs kubectl, with its standard input if that is not "".
func (w *world) try(input string, args ...string) (string, error) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), w.Kubectl, args...)
	return w.run(cmd, input)
}

// kubectl runs kubectl, which must succeed, and returns all that it printed.
func (w *world) kubectl(args ...string) string {
	w.t.Helper()
	text, err := w.try("", args...)
	if err != nil {
		w.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return text
}

// helm runs Helm, which must succeed, and returns what it printed.
func (w *world) helm(args ...string) string {
	w.t.Helper()
	text, err := w.run(exec.CommandContext(w.t.Context(), filepath.Join(w.root, "bin", "tools", "helm"), args...), "")
	if err != nil {
		w.t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return text
}

func (w *world) run(cmd *exec.Cmd, input string) (string, error) {
	if strings.HasPrefix(input, "{") {
		// kubectl 1.31 takes this for JSON.
		text, err := yaml.YAMLToJSON([]byte(input))
		if err != nil {
			return "", err
		}
		input = string(text)
	}
	if input != "" {
		cmd.Stdin = strings.NewReader(input)
	}
	env, err := w.UserEnv()
	if err != nil {
		return "", err
	}
	cmd.Env = env
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// chart is the folder of the chart, file one of the rendered files.
func (w *world) chart() string           { return filepath.Join(w.root, "deploy", "chart") }
func (w *world) file(name string) string { return filepath.Join(w.root, "deploy", name) }

// rollout waits until a Deployment is as it should be.
func (w *world) rollout(namespace, name string) {
	w.t.Helper()
	if err := w.Node.WaitRollout(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}); err != nil {
		w.t.Fatal(err)
	}
}

// eventually polls a condition until it returns nil.
func (w *world) eventually(what string, condition func() error) {
	w.t.Helper()
	deadline, ticker := time.After(limit), time.NewTicker(50*time.Millisecond)
	defer ticker.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			w.t.Fatalf("not within %s: %s: %v", limit, what, err)
		case <-ticker.C:
		}
	}
}

// conflicting is a namespace that breaks rule MF204.
const conflicting = `{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {istio-injection: enabled, istio.io/rev: x}}}`

// guarded checks that meshfence judges namespaces: no answer is an error, and so is another answer.
func (w *world) guarded() error {
	text, err := w.try(fmt.Sprintf(conflicting, "conflicting"), "create", "--dry-run=server", "-f", "-")
	if err == nil || !strings.Contains(text, "MF204") {
		return fmt.Errorf("a namespace that breaks MF204 is answered with: %s", text)
	}
	return nil
}

// load changes namespaces and a mesh without a pause until it is ended, and counts what was refused.
type load struct {
	done, failed atomic.Int64
	first        atomic.Pointer[string]
	cancel       context.CancelFunc
	ended        chan struct{}
}

// startLoad begins with a mesh and a namespace of its own.
func (w *world) startLoad() *load {
	w.t.Helper()
	w.apply(mesh)
	w.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: busy}}`)
	ctx, cancel := context.WithCancel(w.t.Context())
	l := &load{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		for i := 0; ctx.Err() == nil; i++ {
			if err := w.change(ctx, i); err != nil && ctx.Err() == nil {
				text := err.Error()
				l.first.CompareAndSwap(nil, &text)
				l.failed.Add(1)
			}
			l.done.Add(1)
		}
	}()
	return l
}

const mesh = `{apiVersion: sailoperator.io/v1, kind: Istio, metadata: {name: mesh-1}, spec: {version: v1.30.3, namespace: istio-system-1, ` +
	`values: {meshConfig: {discoverySelectors: [{matchLabels: {team-mesh: mesh-1}}]}}}}`

func (w *world) apply(text string) {
	w.t.Helper()
	if out, err := w.try(text, "apply", "-f", "-"); err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
}

// change makes one request about a mesh label, and now and then one about a mesh.
func (w *world) change(ctx context.Context, i int) error {
	value, err := json.Marshal([]string{"mesh-1", ""}[i%2])
	if err != nil {
		return err
	}
	if string(value) == `""` {
		value = []byte("null")
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{"team-mesh":%[1]s,"istio.io/rev":%[1]s}}}`, value)
	err = w.Client.Patch(ctx, namespace("busy"), client.RawPatch("application/merge-patch+json", patch))
	if i%10 == 0 {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"count":"%d"}},"spec":{"values":{"pilot":{"cni":{"enabled":%t}}}}}`, i, i%20 == 0)
		err = errors.Join(err, w.Client.Patch(ctx, istio("mesh-1"), client.RawPatch("application/merge-patch+json", patch)))
	}
	return err
}

// end stops the load, and fails the test if a single request was not answered well.
func (l *load) end(t *testing.T) {
	t.Helper()
	// A slow machine makes requests slowly; there have to be some.
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for deadline := time.Now().Add(limit); l.done.Load() < 50 && time.Now().Before(deadline); {
		<-pace.C
	}
	l.cancel()
	<-l.ended
	if failed := l.failed.Load(); failed > 0 {
		t.Errorf("%d of %d requests failed, the first with: %s", failed, l.done.Load(), *l.first.Load())
	}
	if l.done.Load() < 50 {
		t.Errorf("only %d requests were made: that is no load", l.done.Load())
	}
	t.Logf("%d requests, %d failed", l.done.Load(), l.failed.Load())
}
