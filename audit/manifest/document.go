package manifest

import (
	"encoding/json"
	"fmt"
)

// Place is where something stands. Line and Column begin at 1; Line is 0 where only the file is known. Columns count characters.
type Place struct {
	File         string
	Line, Column int
	// Source is the file of a Helm chart that a text came from, as helm template notes it above each document: "# Source: FILE".
	Source string
}

// String returns a place as compilers do: file:line:column.
func (p Place) String() string {
	text := p.File
	if p.Line > 0 {
		text += fmt.Sprintf(":%d", p.Line)
	}
	if p.Column > 0 {
		text += fmt.Sprintf(":%d", p.Column)
	}
	if p.Source != "" {
		text += " (" + p.Source + ")"
	}
	return text
}

// Note is something to tell about a place: a problem, because of which something was not judged, or a notice.
type Note struct {
	Place
	Text string
}

// String returns the note in one line.
func (n Note) String() string { return n.Place.String() + ": " + n.Text }

// Document is one object.
type Document struct {
	APIVersion, Kind, Namespace, Name string
	// Object is the object as JSON.
	Object json.RawMessage

	part part
	// within is the path from the part's root to the object: none, or that of an item of a List.
	within []any
}

// Key tells objects apart. Kinds of different groups are different; their versions are not.
type Key struct{ Group, Kind, Namespace, Name string }

// Key returns the key of the object.
func (d *Document) Key() Key { return Key{groupOf(d.APIVersion), d.Kind, d.Namespace, d.Name} }

// Place returns where the object stands: at its metadata.name, and if that has no place of its own, where its text begins.
func (d *Document) Place() Place {
	if place, found := d.position("metadata.name"); found {
		return place
	}
	return d.part.begin()
}

// FieldPlace returns where a field stands, by a path such as metadata.labels[istio.io/rev] or spec.values.meshConfig.discoverySelectors[0]: at
// the field's key, or at the item of a list. What is not there has the object's place, and so has "".
func (d *Document) FieldPlace(path string) Place {
	if place, found := d.position(path); found && path != "" {
		return place
	}
	return d.Place()
}

// Result is what was read of a text.
type Result struct {
	Documents []Document
	// Problems are what could not be read. What follows it in the same text was read all the same.
	Problems []Note
	// Notices are what was left out on purpose.
	Notices []Note
	// Spared is how much aliases took of Reader.Spare, in bytes. Overdrawn says that something was not read because they asked for more.
	Spared    int
	Overdrawn bool
}

// Last returns the documents without those of which the same object comes again, in their order: like kubectl apply, the last one counts. Each
// that is left out has a notice that names both places.
func Last(documents []Document) (kept []Document, notices []Note) {
	last := map[Key]int{}
	for i := range documents {
		last[documents[i].Key()] = i
	}
	for i := range documents {
		d := &documents[i]
		winner := &documents[last[d.Key()]]
		if winner == d {
			kept = append(kept, *d)
			continue
		}
		notices = append(notices, Note{d.Place(), fmt.Sprintf("%s %q comes again at %s, and only that counts", d.Kind, d.Name, winner.Place())})
	}
	return kept, notices
}
