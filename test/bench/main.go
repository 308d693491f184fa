package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/test/harness"
)

const (
	reviewRequests = 3000
	// limit is for the whole run, on a slow machine too.
	limit = 45 * time.Minute

	fewNamespaces, fewMeshes   = 10, 2
	fullNamespaces, fullMeshes = 10000, 100
	mostNamespaces, mostMeshes = 100000, 1000
)

// plan is how much is measured. The comparison is made at the largest but one size.
type plan struct {
	rounds, requests int
	namespaces       []int
	meshes           []int
}

func defaultPlan() plan {
	return plan{
		rounds: 4, requests: 250, // of which a p99 of 1,000 is taken
		namespaces: []int{1000, fullNamespaces, mostNamespaces},
		meshes:     []int{fewMeshes, 10, fullMeshes, mostMeshes},
	}
}

func main() {
	log.SetLogger(logr.Discard())
	klog.SetOutput(io.Discard)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 3 && args[0] == yesCommand {
		port, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return serveYes(port, args[2])
	}
	if len(args) == 4 && args[0] == handwrittenCommand {
		port, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return serveHandwritten(port, args[2], args[3])
	}
	p := defaultPlan()
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&p.rounds, "rounds", p.rounds, "how often everything that is compared is measured")
	flags.IntVar(&p.requests, "requests", p.requests, "requests of each kind in a round")
	short := flags.Bool("short", false, "small sizes, to see whether it runs; the figures mean nothing and are not stored")
	onlyAudit := flags.Bool("audit", false, "measure only the audit of the server; the figures are printed, and not stored")
	earlier := flags.String("beside", "", "compare only with this `BINARY`, an earlier meshfence; the figures are printed, and not stored")
	only := flags.Bool("istiods", false, "measure only what istiods cost that the Sail operator did not install; the figures are printed, and not stored")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *short {
		p.namespaces, p.meshes = []int{20, 50, 100}, []int{fewMeshes, 10, fullMeshes}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	root, err := harness.Root()
	if err != nil {
		return err
	}
	r, err := chosen(*only, *onlyAudit, *earlier)(ctx, p)
	if r != nil { // also what was measured before it failed
		fmt.Println(r.markdown())
	}
	if err != nil {
		return err
	}
	if *short || *only || *onlyAudit || *earlier != "" {
		return nil
	}
	return r.write(filepath.Join(root, "test", "bench", "results"), filepath.Join(root, "docs", "performance"))
}

// chosen is what is measured: everything, or one part.
func chosen(istiods, audit bool, earlier string) func(context.Context, plan) (*report, error) {
	switch {
	case earlier != "":
		return measureBeside(earlier)
	case istiods:
		return measureIstiods
	case audit:
		return measureAudit
	default:
		return measure
	}
}

// progress tells a person who waits what is being done.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// measure does everything, in an order that lets one cluster grow.
func measure(ctx context.Context, p plan) (r *report, err error) {
	begin := time.Now()
	r = &report{Machine: machine(), Rounds: p.rounds, Requests: p.requests}
	b, err := start(ctx, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.growMeshes(ctx, r); err != nil {
		return r, err
	}
	if err := b.growNamespaces(ctx, r); err != nil {
		return r, err
	}
	r.Rows = append(r.Rows, r.growthRows()...)
	r.Took = time.Since(begin).Round(time.Second).String()
	return r, nil
}

// machine is the processor's name and the number of cores.
func machine() string {
	content, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(content)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "model name"); ok {
			return fmt.Sprintf("%s, %d cores", strings.TrimLeft(name, "\t :"), runtime.NumCPU())
		}
	}
	return runtime.GOARCH
}
