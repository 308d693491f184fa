// Command prebuilt downloads kube-apiserver, etcd and kubectl of a version of Kubernetes, as controller-tools publishes them for envtest, with setup-envtest's own code,
// which compares the checksum. `make controlplane` builds them where this fails: it then prints one line that says why, and leaves nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/tools/setup-envtest/remote"
	"sigs.k8s.io/controller-runtime/tools/setup-envtest/store"
	"sigs.k8s.io/controller-runtime/tools/setup-envtest/versions"
)

// note is the file that says where the binaries beside it come from. It is written last: without it, nothing was downloaded.
const note = "prebuilt"

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
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	got, err := s.fetch(ctx, *version, *to)
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
	dir, err := os.MkdirTemp(filepath.Dir(to), ".prebuilt-")
	if err != nil {
		return none, err
	}
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
	err = client.GetVersion(ctx, item.Version, versions.PlatformItem{Platform: item.Platform, Hash: hash}, archive)
	if err == nil {
		_, err = archive.Seek(0, 0)
	}
	if err == nil {
		err = store.NewAt(dir).Add(logr.NewContext(ctx, logr.Discard()), item, archive)
	}
	return errors.Join(err, archive.Close())
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
