// Command sandbox is `make run`: it starts an API server with meshfence in front of it, replays the OpenShift Service
// Mesh guide and its classic mistakes, showing each request and the answer, and then stays up for
// more. Ctrl-C stops all that it started.
//
// With CLUSTER=kubeconfig it uses a cluster that is there: it asks first, and removes what it made.
// With DEMO=once it ends after the replay. The exit status is 1 if an answer was not the expected one.
package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/test/harness"
)

const (
	// startLimit and replayLimit bound the two parts on a slow machine. Usually they take ten seconds each.
	startLimit, replayLimit = 3 * time.Minute, 3 * time.Minute
	// requestLimit bounds one request of the replay.
	requestLimit = time.Minute
	// commandWidth is the space for a command before its answer, and textWidth the length of the lines of a message.
	commandWidth, textWidth = 86, 100
)

//go:embed manifests
var manifests embed.FS

func main() {
	log.SetLogger(logr.Discard()) // of envtest, which would complain that none is set
	ctx, stop := untilSignal()
	once := os.Getenv("DEMO") == "once"
	var err error
	if kubeconfig := os.Getenv("CLUSTER"); kubeconfig != "" {
		e := existing{out: os.Stdout, once: once}
		if e.agree, err = agreement(os.Getenv("YES")); err == nil {
			err = e.run(ctx, kubeconfig, os.Getenv("WEBHOOK_HOST"))
		}
	} else {
		err = run(ctx, os.Stdout, once)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}

// untilSignal returns a context that ends with a signal that ends programs, also with that of a terminal that is gone, unless nohup keeps it
// away. Output without a reader is no reason to end: of `| tee`, Ctrl-C ends tee first, and what was made is still to be removed.
func untilSignal() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	ending := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		ending = append(ending, syscall.SIGHUP)
	}
	return signal.NotifyContext(context.Background(), ending...)
}

// run starts everything, replays, and unless once is set waits until ctx ends.
func run(ctx context.Context, out io.Writer, once bool) (err error) {
	fmt.Fprintln(out, "Starting an API server with meshfence in front of it ...")
	cluster, err := start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	dir := filepath.Join(cluster.Dir(), "sandbox")
	if err := unpack(dir); err != nil {
		return err
	}
	player := &player{out: out, cluster: cluster, dir: dir}
	if err := player.play(ctx, replay()); err != nil {
		return err
	}
	fmt.Fprintln(out, "\n"+player.summary())
	if err := look(ctx, player); err != nil {
		return err
	}
	if !once {
		invite(out, cluster)
		<-ctx.Done()
		fmt.Fprintln(out, "\nStopping.")
	}
	if len(player.unexpected) > 0 {
		return errors.New(player.summary())
	}
	return nil
}

// start starts the cluster and meshfence, installed from the manifests that users install.
func start(ctx context.Context) (*harness.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	cluster, err := harness.Start(ctx, harness.Options{CRDs: harness.Slim})
	if err != nil {
		return nil, err
	}
	if err := install(ctx, cluster); err != nil {
		return nil, errors.Join(err, cluster.Stop())
	}
	return cluster, nil
}

func install(ctx context.Context, cluster *harness.Cluster) error {
	if err := cluster.InstallWorkload(ctx); err != nil {
		return err
	}
	if _, err := cluster.StartMeshfence(ctx, harness.ProcessOptions{}); err != nil {
		return err
	}
	return cluster.InstallWebhooks(ctx)
}

// unpack writes the replay's files to dir, which it makes.
func unpack(dir string) error {
	files, err := fs.Sub(manifests, "manifests")
	if err != nil {
		return err
	}
	return os.CopyFS(dir, files)
}

// player sends the requests and keeps count.
type player struct {
	out        io.Writer
	cluster    *harness.Cluster
	dir        string
	requests   int
	unexpected []string
	// printed gets what kubectl wrote of a request that was made; nil where all goes with the cluster.
	printed func(stdout string)
}

func (p *player) play(ctx context.Context, sections []section) error {
	ctx, cancel := context.WithTimeout(ctx, replayLimit)
	defer cancel()
	for i, section := range sections {
		fmt.Fprintf(p.out, "\n%d. %s\n", i+1, section.title)
		for _, step := range section.steps {
			p.request(ctx, &step)
			if ctx.Err() != nil {
				return fmt.Errorf("the replay did not come to its end: %w", ctx.Err())
			}
		}
	}
	return nil
}

// request sends one request and shows the answer.
func (p *player) request(ctx context.Context, step *step) {
	p.requests++
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestLimit) // it is not cut off in the middle
	stdout, stderr, err := p.cluster.RunKubectl(limited, p.dir, strings.Fields(step.kubectl)...)
	cancel()
	if p.printed != nil {
		p.printed(stdout)
	}
	got, text := read(stderr, err == nil)
	if step.note != "" {
		fmt.Fprintf(p.out, "   # %s\n", step.note)
	}
	fmt.Fprintf(p.out, "   $ kubectl %-*s  %s\n%s", commandWidth, step.kubectl, got, wrap(text, "       ", textWidth))
	problem := p.check(ctx, step, got, text)
	if problem != "" {
		fmt.Fprintf(p.out, "     NOT AS EXPECTED: %s\n", problem)
		p.unexpected = append(p.unexpected, step.kubectl)
	}
}

// check returns what is wrong with an answer, or "".
func (p *player) check(ctx context.Context, step *step, got answer, text string) string {
	if got != step.want {
		return fmt.Sprintf("it should have been %s", strings.TrimSpace(step.want.String()+" "+step.says))
	}
	if !strings.Contains(text, step.says) {
		return "it should have said " + step.says
	}
	if step.revision == "" {
		return ""
	}
	revision, stderr, err := p.cluster.RunKubectl(ctx, p.dir,
		"get", "namespace", step.namespace, "-o", `jsonpath={.metadata.labels.istio\.io/rev}`)
	if err != nil || revision != step.revision {
		return fmt.Sprintf("istio.io/rev should be %q and is %q %s", step.revision, revision, stderr)
	}
	return ""
}

// summary reports whether all answers were the expected ones.
func (p *player) summary() string {
	if len(p.unexpected) == 0 {
		return fmt.Sprintf("All %d answers were as expected.", p.requests)
	}
	return fmt.Sprintf("%d of %d answers were not as expected: kubectl %s",
		len(p.unexpected), p.requests, strings.Join(p.unexpected, "; kubectl "))
}

// invite says how to go on by hand.
func invite(out io.Writer, cluster *harness.Cluster) {
	kubectl := cluster.Kubectl
	if wd, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(wd, kubectl); err == nil && !strings.HasPrefix(relative, "..") {
			kubectl = relative
		}
	}
	fmt.Fprintf(out, `
It stays up. Try it from another terminal with kubectl or oc (one is at %[1]s):

  export KUBECONFIG=%[2]s
  kubectl get namespaces -L istio-discovery,istio.io/rev
  kubectl label namespace app-ns-2 istio.io/rev=mesh-1 --overwrite        # refused
  kubectl label namespace app-ns-3 istio-discovery=mesh-1 istio.io/rev-   # filled in

Ctrl-C stops everything.
`, kubectl, cluster.Kubeconfig)
}
