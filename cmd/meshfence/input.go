package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/pflag"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/manifest"
	"github.com/meshfence/meshfence/audit/manifest/files"
	"github.com/meshfence/meshfence/webhook/api"
)

// Values of --against besides a file.
const (
	againstCluster = "cluster"
	againstNothing = "nothing"
)

// input says what is looked at: files, a cluster, or files laid over a cluster.
type input struct {
	*source
	paths     []string
	stdinName string
	against   string
}

func newInput() *input { return &input{source: newSource()} }

func (in *input) addFlags(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&in.paths, "filename", "f", nil, "`FILE`, folder with all below it, or - for standard input; repeatable. Without it the cluster is looked at")
	flags.StringVar(&in.stdinName, "stdin-name", "", "what standard input is called in reports, for example the `PATH` of the file that it comes from")
	flags.StringVar(&in.against, "against", "", "what the files are laid over: cluster, nothing (the default with -f), or a `FILE` that meshfence map -o fleet has written")
	in.source.addFlags(flags)
}

// validate fills in what depends on other flags.
func (in *input) validate() error {
	switch {
	case in.against == "" && len(in.paths) > 0:
		in.against = againstNothing
	case in.against == "":
		in.against = againstCluster
	case in.against == againstNothing && len(in.paths) == 0:
		return errors.New("--against nothing needs files to look at: -f FILE")
	}
	return nil
}

// looked is what was read.
type looked struct {
	// stored is the cluster, or what a file says of it; nil if there is none.
	stored *audit.Inventory
	// documents are the objects of files that are judged, in their order, and objects the same as they are judged.
	documents []manifest.Document
	objects   []audit.Object
	// problems are what could not be read, notices what was left out on purpose.
	problems, notices []manifest.Note
}

// look reads all of it. The error says that nothing can be judged.
func (in *input) look(ctx context.Context, scope audit.Scope, stdin io.Reader, stderr io.Writer) (*looked, error) {
	l := &looked{}
	if len(in.paths) > 0 {
		l.documents, l.objects = l.take(files.Read(in.paths, files.Options{Stdin: stdin, StdinName: in.stdinName, Judged: scope.Concerns}), scope.DecodeFile)
	}
	switch in.against {
	case againstNothing:
		return l, nil
	case againstCluster:
		found, err := in.read(ctx, scope, stderr)
		if err != nil {
			return nil, err
		}
		l.stored = found.inventory
		l.note(found.gaps, found.absent)
		return l, nil
	default:
		return l, in.readFleet(l, scope, stdin)
	}
}

// note keeps what could not be read of the cluster, and what was left out.
func (l *looked) note(problems, notices []string) {
	for _, text := range problems {
		l.problems = append(l.problems, manifest.Note{Place: manifest.Place{File: "the cluster"}, Text: text})
	}
	for _, text := range notices {
		l.notices = append(l.notices, manifest.Note{Place: manifest.Place{File: "the cluster"}, Text: text})
	}
}

// readFleet reads a file that stands for a cluster.
func (in *input) readFleet(l *looked, scope audit.Scope, stdin io.Reader) error {
	if in.against == files.Stdin && slices.Contains(in.paths, files.Stdin) {
		return errors.New("--against and -f cannot both be standard input")
	}
	read := files.Read([]string{in.against}, files.Options{Stdin: stdin, Judged: scope.Concerns})
	if len(read.Problems) > 0 {
		return fmt.Errorf("--against %s; meshfence map -o fleet writes such a file", read.Problems[0])
	}
	l.stored = &audit.Inventory{}
	_, objects := l.take(read, scope.Decode)
	if len(objects) == 0 { // as a redirection leaves it when the command before it has failed
		return fmt.Errorf("--against %s: it has no object; meshfence map -o fleet writes such a file", in.against)
	}
	for _, o := range objects {
		l.stored.Put(o)
	}
	return nil
}

// take decodes the documents that are judged, and keeps the notes.
func (l *looked) take(read manifest.Result, decode func(kind, namespace, name string, raw []byte) (audit.Object, error)) (documents []manifest.Document, objects []audit.Object) {
	l.problems, l.notices = append(l.problems, read.Problems...), append(l.notices, read.Notices...)
	for i := range read.Documents {
		d := &read.Documents[i]
		decoded, err := decode(d.Kind, d.Namespace, d.Name, d.Object)
		if err != nil {
			l.problems = append(l.problems, manifest.Note{Place: d.Place(), Text: fmt.Sprintf("%s %q cannot be judged: %v", d.Kind, d.Name, err)})
			continue
		}
		if decoded.Judged() {
			d.Namespace = decoded.Namespace // none for a kind that has none, whatever the text says; the one that is meant if it says nothing
			documents, objects = append(documents, *d), append(objects, decoded)
		}
	}
	return documents, objects
}

// last leaves out the objects that come again, as kubectl apply ends with the last.
func (l *looked) last() {
	kept, notices := manifest.Last(l.documents)
	l.notices = append(l.notices, notices...)
	count := map[manifest.Key]int{}
	for i := range l.documents {
		count[l.documents[i].Key()] = i
	}
	var objects []audit.Object
	for i := range kept {
		objects = append(objects, l.objects[count[kept[i].Key()]])
	}
	l.documents, l.objects = kept, objects
}

// inventory is the objects of the files.
func (l *looked) inventory() *audit.Inventory {
	all := &audit.Inventory{}
	for _, o := range l.objects {
		all.Put(o)
	}
	return all
}

// kinds are those that are judged, in the order in which they are counted.
func kinds() []string {
	return []string{api.KindIstio, api.KindIstioRevision, api.KindIstioRevisionTag, audit.KindNamespace, audit.KindConfigMap}
}
