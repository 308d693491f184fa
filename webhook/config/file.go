package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// pollEvery bounds the time after which a change is noticed that no event tells of: the file system has no events, the
	// file is reached through a symbolic link into another folder, or the folder itself was replaced.
	pollEvery = 10 * time.Second
	// stableFor is how long a changed file must stay the same before it is loaded: one that is written in place is empty, or
	// half there, for a moment. A ConfigMap volume needs no such pause.
	stableFor = 100 * time.Millisecond
	// maxReads bounds the wait for a file that is written all the time: after 50 reads it is loaded as it is.
	maxReads = 50
)

// volumeLink is the symbolic link that the kubelet replaces when the content of a ConfigMap volume changes; the files in
// the volume are links through it (k8s.io/kubernetes, pkg/volume/util, AtomicWriter). A single file that is mounted with
// subPath is no such link, and never changes while the container runs.
const volumeLink = "..data"

// File is the configuration file of a running program: a change of it takes effect without a restart, or is refused as a
// whole, and then the configuration from before stays in use. It is a Runnable for a controller-runtime manager, on every
// replica. Make one with Open.
type File struct {
	path                 string
	optional             bool
	codes                []string
	pollEvery, stableFor time.Duration
	metrics              *metrics
	inUse                atomic.Pointer[Configuration]
	onChange             func(*Configuration)
	// loaded is what was last loaded, or refused. Only Start touches it.
	loaded content
}

// content is what a look at the file found: its text, or why there is none. An optional file that does not exist is absent.
type content struct {
	text, problem string
	absent        bool
}

// Open reads the configuration file; codes are the rule codes that exist. The path "" stands for no file: the defaults are
// used, and never change. The error is that of reading the file, or an *InvalidError.
func Open(path string, codes []string) (*File, error) { return open(path, false, codes) }

// OpenOptional is Open for a file that need not exist: as long as it does not, also if it is removed later, the defaults are used.
func OpenOptional(path string, codes []string) (*File, error) { return open(path, true, codes) }

func open(path string, optional bool, codes []string) (*File, error) {
	f := &File{
		path: path, optional: optional, codes: codes, pollEvery: pollEvery, stableFor: stableFor, metrics: newMetrics(), onChange: func(*Configuration) {},
	}
	if path == "" {
		f.inUse.Store(Default())
		return f, nil
	}
	data, err := ReadFile(path)
	if optional && errors.Is(err, fs.ErrNotExist) {
		f.loaded = content{absent: true}
		f.inUse.Store(Default())
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := Load(data, codes)
	if err != nil {
		return nil, err
	}
	f.loaded = content{text: string(data)}
	f.inUse.Store(c)
	return f, nil
}

// Current returns the configuration in use.
func (f *File) Current() *Configuration { return f.inUse.Load() }

// OnChange has a function called with every further configuration, one after the other, before Current returns it. It is
// to be called once, before Start.
func (f *File) OnChange(use func(*Configuration)) { f.onChange = use }

// Register registers the metrics; it fails if they are registered already.
func (f *File) Register(registry prometheus.Registerer) error { return f.metrics.register(registry) }

// NeedLeaderElection tells the manager that every replica reads its own file.
func (f *File) NeedLeaderElection() bool { return false }

// Start watches the file until ctx ends, and returns nil. A change is usually noticed at once, and at the latest after ten
// seconds. A change to a valid configuration is logged with the whole of it, a refused one as an error with all that is
// wrong with it; each is logged and counted once, however long it lasts.
func (f *File) Start(ctx context.Context) error {
	if f.path == "" {
		return nil
	}
	folder, err := fsnotify.NewWatcher()
	if err == nil {
		defer func() { _ = folder.Close() }() // the program ends
		err = folder.Add(filepath.Dir(f.path))
	} else {
		folder = nil
	}
	if err != nil {
		logr.FromContextOrDiscard(ctx).Info("cannot watch the folder of the configuration file, and looks at the file from time to time",
			"file", f.path, "every", f.pollEvery.String(), "problem", err.Error())
	}
	ticker := time.NewTicker(f.pollEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		f.reload(ctx)
		f.wait(ctx, folder, ticker.C)
	}
	return nil
}

// wait returns when the file may have changed, or ctx has ended. folder may be nil.
func (f *File) wait(ctx context.Context, folder *fsnotify.Watcher, tick <-chan time.Time) {
	var events chan fsnotify.Event
	var errs chan error
	if folder != nil {
		events, errs = folder.Events, folder.Errors
	}
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-events:
			if name := filepath.Base(event.Name); name == volumeLink || name == filepath.Base(f.path) {
				return
			}
		case err := <-errs:
			logr.FromContextOrDiscard(ctx).V(1).Info("events of the configuration file may be missing", "file", f.path, "problem", err.Error())
			return
		case <-tick:
			return
		}
	}
}

// reload loads the file if it is not what was loaded last.
func (f *File) reload(ctx context.Context) {
	found := f.readStable(ctx)
	if found == f.loaded || ctx.Err() != nil {
		return
	}
	f.loaded = found
	logger := logr.FromContextOrDiscard(ctx).WithValues("file", f.path)
	c, err := found.configuration(f.codes)
	if err != nil {
		f.metrics.refuse()
		logger.Error(err, "refused the changed configuration file as a whole; the configuration from before stays in use until the file is corrected")
		return
	}
	f.onChange(c)
	f.inUse.Store(c)
	f.metrics.accept()
	logger.Info("the changed configuration file is in use", "absent", found.absent, "mode", c.Mode, "rules", c.Rules, "discoveryLabels", c.DiscoveryLabels,
		"exemptNamespaces", c.ExemptNamespaces, "exemptUsers", c.ExemptUsers, "controlPlaneNamespaces", c.ControlPlaneNamespaces,
		"fillFrom", c.FillFrom, "meshMap", c.MeshMap.Name)
}

// readStable returns what the file holds; if that is something new, as soon as the file has not been written for a moment.
func (f *File) readStable(ctx context.Context) content {
	found, written := f.read()
	for range maxReads {
		if found == f.loaded {
			break
		}
		select {
		case <-ctx.Done():
			return found
		case <-time.After(f.stableFor):
		}
		before, writtenBefore := found, written
		if found, written = f.read(); found == before && written.Equal(writtenBefore) {
			break
		}
	}
	return found
}

// read returns what the file holds, and when it was written; the zero time if there is none.
func (f *File) read() (found content, written time.Time) {
	// The time comes first: what is written after it makes the next look find another one.
	if info, err := os.Stat(f.path); err == nil {
		written = info.ModTime()
	}
	data, err := ReadFile(f.path)
	if f.optional && errors.Is(err, fs.ErrNotExist) {
		return content{absent: true}, written
	}
	if err != nil {
		return content{problem: err.Error()}, written
	}
	return content{text: string(data)}, written
}

func (c content) configuration(codes []string) (*Configuration, error) {
	if c.absent {
		return Default(), nil
	}
	if c.problem != "" {
		return nil, fmt.Errorf("the configuration file cannot be read: %s", c.problem)
	}
	return Load([]byte(c.text), codes)
}
