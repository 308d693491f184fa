// Command prebuilt downloads kube-apiserver, etcd and kubectl of a version of Kubernetes, as controller-tools publishes them for envtest, with setup-envtest's own code,
// which compares the checksum. `make controlplane` builds them where this fails: it then prints one line that says why, and leaves nothing.
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
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/tools/setup-envtest/remote"
	"sigs.k8s.io/controller-runtime/tools/setup-envtest/store"
	"sigs.k8s.io/controller-runtime/tools/setup-envtest/versions"
)

// note is the file that says that the binaries beside it were downloaded, and of which version. It is written last, but for what make compares.
const note = "prebuilt"

// temporary begins the names of the folders that archives are unpacked in, and old is when one was left by a process that was killed.
const (
	temporary = ".prebuilt-"
	old       = time.Hour
)

// tick is how often a download says how far it is.
const tick = 15 * time.Second

// binaries are what is wanted of an archive.
func binaries() []string { return []string{"etcd", "kube-apiserver", "kubectl"} }

// source is where from, and how long it may take.
type source struct {
	index                    string
	indexLimit, archiveLimit time.Duration
}

func main() {
	s := source{}
	flag.StringVar(&s.index, "index", remote.DefaultIndexURL, "`URL` of the index of releases")
	flag.DurationVar(&s.indexLimit, "index-limit", 10*time.Second, "how long the index may take")
	flag.DurationVar(&s.archiveLimit, "limit", 5*time.Minute, "how long the download may take; to build them takes about ten minutes")
	version := flag.String("version", "", "`VERSION` of Kubernetes, as in 1.37.2; where it was not published the newest patch of that minor version is taken")
	to := flag.String("to", "", "`FOLDER` that the binaries go to")
	inputs := flag.String("inputs", "", "`TEXT` to write beside each binary, into BINARY.inputs; make knows by it what there is")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	got, err := s.fetch(ctx, *version, *to)
	if err == nil {
		err = writeInputs(*to, *inputs)
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "No prebuilt control plane, so it is built: %s\n", strings.Join(strings.Fields(err.Error()), " "))
		os.Exit(1)
	}
	fmt.Printf("Downloaded kube-apiserver, etcd and kubectl %s into %s.\n", got, *to)
}

// fetch brings the binaries, and returns the version that they have.
func (s source) fetch(ctx context.Context, version, to string) (versions.Concrete, error) {
	var none versions.Concrete
	want, err := parse(version)
	if err != nil {
		return none, err
	}
	client := &remote.HTTPClient{Log: logr.Discard(), IndexURL: s.index}
	item, hash, err := s.find(ctx, client, want)
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.archiveLimit, fmt.Errorf("it took longer than %s", s.archiveLimit))
	defer cancel()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return none, err
	}
	removeLeftovers(filepath.Dir(to))
	dir, err := os.MkdirTemp(filepath.Dir(to), temporary)
	if err != nil {
		return none, err
	}
	fmt.Fprintf(os.Stderr, "Downloading kube-apiserver, etcd and kubectl %s, for %s at most, by %s ...\n", item.Version, s.archiveLimit, s.index)
	err = download(ctx, client, item, hash, dir)
	if err == nil {
		err = place(dir, item, to)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return item.Version, errors.Join(err, removeAll(dir))
}

// find looks in the index for the version, or the newest patch of its minor version, for this machine.
func (s source) find(ctx context.Context, client remote.Client, want versions.Concrete) (store.Item, *versions.Hash, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.indexLimit, fmt.Errorf("the index did not answer within %s: %s", s.indexLimit, s.index))
	defer cancel()
	sets, err := client.ListVersions(ctx)
	if ctx.Err() != nil {
		return store.Item{}, nil, context.Cause(ctx)
	}
	if err != nil {
		return store.Item{}, nil, err
	}
	var found store.Item
	var hash *versions.Hash
	for _, set := range sets { // the newest first
		if set.Version.Major != want.Major || set.Version.Minor != want.Minor {
			continue
		}
		for _, p := range set.Platforms {
			if p.OS == runtime.GOOS && p.Arch == runtime.GOARCH && (hash == nil || set.Version == want) {
				found, hash = store.Item{Version: set.Version, Platform: p.Platform}, p.Hash
			}
		}
	}
	if hash == nil {
		return found, nil, fmt.Errorf("the index has no %d.%d for %s/%s: %s", want.Major, want.Minor, runtime.GOOS, runtime.GOARCH, s.index)
	}
	return found, hash, nil
}

// download writes the archive to dir, which compares its checksum, and unpacks it.
func download(ctx context.Context, client remote.Client, item store.Item, hash *versions.Hash, dir string) error {
	archive, err := os.Create(filepath.Join(dir, "archive"))
	if err != nil {
		return err
	}
	counted := &counter{Writer: archive}
	defer counted.tell()()
	err = client.GetVersion(ctx, item.Version, versions.PlatformItem{Platform: item.Platform, Hash: hash}, counted)
	if err == nil {
		_, err = archive.Seek(0, 0)
	}
	if err == nil {
		err = store.NewAt(dir).Add(logr.NewContext(ctx, logr.Discard()), item, archive)
	}
	return errors.Join(err, archive.Close())
}

// counter counts what is written.
type counter struct {
	io.Writer
	n atomic.Int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// tell says every now and then how much was written, until what it returns is called.
func (c *counter) tell() (stop func()) {
	ticker, done := time.NewTicker(tick), make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				fmt.Fprintf(os.Stderr, "  %d MB\n", c.n.Load()/1_000_000)
			case <-done:
				return
			}
		}
	}()
	return func() { ticker.Stop(); close(done) }
}

// removeLeftovers removes what a process has left that was killed. What cannot be removed stays.
func removeLeftovers(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && strings.HasPrefix(entry.Name(), temporary) && time.Since(info.ModTime()) > old {
			_ = removeAll(filepath.Join(dir, entry.Name()))
		}
	}
}

// writeInputs says beside each binary what it was made for.
func writeInputs(to, inputs string) error {
	for _, name := range binaries() {
		if err := os.WriteFile(filepath.Join(to, name+".inputs"), []byte(inputs+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// place moves the binaries to their folder, and then says where they come from.
func place(dir string, item store.Item, to string) error {
	from, err := store.NewAt(dir).Path(item)
	if err == nil {
		err = os.Chmod(from, 0o755) // the store makes it read-only
	}
	if err == nil {
		err = os.MkdirAll(to, 0o755)
	}
	for _, name := range binaries() {
		if err == nil {
			err = os.Rename(filepath.Join(from, name), filepath.Join(to, name))
		}
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, note), []byte(item.Version.String()+"\n"), 0o644)
}

// removeAll removes the folder, in which the store has made one read-only.
func removeAll(dir string) error {
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}

func parse(text string) (versions.Concrete, error) {
	var numbers []int
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return versions.Concrete{}, fmt.Errorf("-version %q is not as in 1.37.2", text)
		}
		numbers = append(numbers, n)
	}
	if len(numbers) != 3 {
		return versions.Concrete{}, fmt.Errorf("-version %q is not as in 1.37.2", text)
	}
	return versions.Concrete{Major: numbers[0], Minor: numbers[1], Patch: numbers[2]}, nil
}
