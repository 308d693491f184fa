package manifest

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// unread tells of what follows the value of a document, nil if nothing does. The reader of values stops at the value's end, and kubectl does not
// apply what comes then, without a word.
func (p *part) unread() *Note {
	if endsWithText(p.text) {
		return nil
	}
	var first, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(p.text))
	if decoder.Decode(&first) != nil {
		return nil // the reader of values could read it
	}
	err := decoder.Decode(&second)
	if errors.Is(err, io.EOF) || err == nil && isEmpty(&second) {
		return nil
	}
	var place Place
	if err != nil {
		place = p.at(lineOfError(err.Error()), 1)
		place.Column = 0 // the reader names no column
	} else {
		place = p.at(second.Content[0].Line, second.Content[0].Column)
	}
	return &Note{place, "the object ends before this, and what follows is not read; put --- on a line of its own between them"}
}

// isEmpty reports whether a document has no value.
func isEmpty(document *yaml.Node) bool {
	return len(document.Content) == 0 || document.Content[0].Kind == yaml.ScalarNode && document.Content[0].Value == ""
}

// endsWithText reports whether the value of a text cannot end before the text, because it is a mapping in block style that is not indented: it has
// all further lines. This is so for nearly all manifests, and saves reading them once more.
func endsWithText(text []byte) bool {
	if hasOddBreak(text) || bytes.Contains(text, []byte("\n...")) {
		return false
	}
	for line := range bytes.Lines(text) {
		if trimmed := bytes.TrimLeft(line, " \t\r\n"); len(trimmed) > 0 && trimmed[0] != '#' {
			c := line[0]
			return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		}
	}
	return true
}

// lineOfError returns the line that an error of the YAML reader is about. Where a document should begin the reader counts from 0, and says nothing of
// the first line.
func lineOfError(text string) int {
	line := 0
	if at := lineOf().FindStringSubmatch(text); at != nil {
		line, _ = strconv.Atoi(at[1]) // they are digits
	}
	if strings.Contains(text, "<document start>") {
		line++
	}
	return max(line, 1)
}
