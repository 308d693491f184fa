// Package files reads manifests from files, folders and standard input. What it cannot read, and what it leaves out, it says; all the rest is
// read.
package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/meshfence/meshfence/audit/manifest"
)

// Stdin is the path that means standard input.
const Stdin = "-"

// Limits of what is read, in bytes: of a file, and of standard input, which may be all that helm template or kubectl get prints.
const (
	MaxFile  = 10 << 20
	MaxStdin = 64 << 20
)

// Options say how to read.
type Options struct {
	Stdin io.Reader
	// StdinName is what standard input is called in places; "-" if it is "".
	StdinName string
	// Judged reports whether an object is of any interest, as in manifest.Reader; nil if all are.
	Judged func(apiVersion, kind, namespace, name string) bool
}

// Read reads the files, and the folders with all below them. A folder's files end in .yaml, .yml or .json; its hidden folders are left out, and
// so are links in it, but for those to files of the same folder, as a mounted ConfigMap has them. What is named itself may end in anything and be a
// link. The order is that of the paths, and within a folder that of the names.
func Read(paths []string, options Options) manifest.Result {
	r := &reader{options: options}
	for _, path := range paths {
		r.add(path)
	}
	return r.read()
}

// reader collects what is to be read, so that it is read in parallel, and told in order.
type reader struct {
	options Options
	files   []file
}

// file is one file to read, or what is to be told instead.
type file struct {
	path            string
	problem, notice string
}

func (r *reader) add(path string) {
	if path == Stdin {
		f := file{path: path}
		if slices.ContainsFunc(r.files, func(other file) bool { return other.path == Stdin }) {
			f.problem = "standard input can be read only once"
		}
		r.files = append(r.files, f)
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		r.files = append(r.files, file{path: path, problem: plain(err)})
	case info.IsDir():
		r.addFolder(path)
	case !info.Mode().IsRegular():
		r.files = append(r.files, file{path: path, problem: "it is no regular file; for a pipe use -f - and standard input"})
	default:
		r.files = append(r.files, file{path: path})
	}
}

// read reads and parses all files, as many at a time as there are processors. Those whose aliases need what all files have to spare together get
// it one after the other, in their order, so that the same files are always told the same.
func (r *reader) read() manifest.Result {
	results, texts := make([]manifest.Result, len(r.files)), make([]text, len(r.files))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, f := range r.files {
		group.Go(func() error {
			if results[i], texts[i] = r.open(f); texts[i].content == nil {
				return nil
			}
			if results[i] = texts[i].parse(r.options, 0); !results[i].Overdrawn {
				texts[i] = text{}
			}
			return nil
		})
	}
	_ = group.Wait() // what goes wrong is told in the results
	spare := manifest.Spare
	var all manifest.Result
	for i := range results {
		if texts[i].content != nil {
			results[i] = texts[i].parse(r.options, spare)
			spare -= results[i].Spared
		}
		one := &results[i]
		all.Documents = append(all.Documents, one.Documents...)
		all.Problems = append(all.Problems, one.Problems...)
		all.Notices = append(all.Notices, one.Notices...)
	}
	return all
}

// text is what a file has.
type text struct {
	name    string
	content []byte
}

func (t text) parse(options Options, spare int) manifest.Result {
	return manifest.Reader{Judged: options.Judged, Spare: spare}.Parse(t.name, t.content)
}

// open returns the text of a file, or what is to be told instead.
func (r *reader) open(f file) (manifest.Result, text) {
	name := filepath.ToSlash(f.path)
	note := func(text string) []manifest.Note {
		return []manifest.Note{{Place: manifest.Place{File: name}, Text: text}}
	}
	switch {
	case f.problem != "":
		return manifest.Result{Problems: note(f.problem)}, text{}
	case f.notice != "":
		return manifest.Result{Notices: note(f.notice)}, text{}
	}
	limit, read := int64(MaxFile), readFile
	if f.path == Stdin {
		limit = MaxStdin
		read = func(_ string, limit int64) ([]byte, error) { return readAll(r.options.Stdin, limit) }
		if name = r.options.StdinName; name == "" {
			name = Stdin
		}
	}
	content, err := read(f.path, limit)
	switch {
	case errors.Is(err, errTooLarge):
		return manifest.Result{Problems: note(fmt.Sprintf("it is larger than %d MiB", limit>>20))}, text{}
	case err != nil:
		return manifest.Result{Problems: note(plain(err))}, text{}
	}
	return manifest.Result{}, text{name, content}
}

var errTooLarge = errors.New("too large")

// readFile reads a regular file. It looks at what was opened, since a path can become another file at any time, and opens without waiting for
// the other end of a pipe.
func readFile(path string, limit int64) ([]byte, error) {
	opened, err := os.OpenFile(path, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = opened.Close() }() // it was only read
	if info, err := opened.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("it is no regular file any more"))
	}
	return readAll(opened, limit)
}

func readAll(from io.Reader, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(bufio.NewReader(from), limit+1))
	if err == nil && int64(len(text)) > limit {
		err = errTooLarge
	}
	return text, err
}

// plain is an error without the path, which is told beside it.
func plain(err error) string {
	if wrong := (*fs.PathError)(nil); errors.As(err, &wrong) {
		err = wrong.Err
	}
	return "it cannot be read: " + err.Error()
}
