package review

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// scan walks through a JSON text once, and takes only what it is asked for: no reflection, and no copies, because strings
// are pieces of the text. It is stricter than the API machinery's decoder. Where it meets anything unusual (a value of
// another type than it is asked for, a null, a name that stands twice in one object, a name with an escape, an invalid
// character, nesting that is too deep) it fails, and everything that it is asked for from then on is empty. Then decodeStock
// decides what the text means: so what is accepted, and every complaint, are that decoder's alone.
type scan struct {
	text    string
	buffer  bytes.Buffer // of the same text; the decoder shares its memory, and does not write into it
	decoder jsontext.Decoder
	failed  bool
}

// scans are those that are over, for their decoders' memory: a quarter of the allocations of an answer.
var scans = sync.Pool{New: func() any { return &scan{} }}

func newScan(text []byte) *scan {
	s := scans.Get().(*scan)
	s.text, s.failed = string(text), false
	s.read(text)
	return s
}

// free must be called when the scan is not used any more. What was read remains: it belongs to the texts.
func (s *scan) free() {
	s.text = ""
	s.read(nil) // holds on to no body
	scans.Put(s)
}

func (s *scan) read(text []byte) {
	s.buffer = *bytes.NewBuffer(text)
	s.decoder.Reset(&s.buffer, jsontext.AllowDuplicateNames(true))
}

// all reads the whole text with one call of value, and reports whether that is all there is.
func (s *scan) all(value func()) bool {
	value()
	if s.failed {
		return false
	}
	_, err := s.decoder.ReadToken()
	return errors.Is(err, io.EOF)
}

// mostMembers is how many members an object may have that is read as a struct. The request has 15.
const mostMembers = 24

// object calls member with the name of each member, whose value it must read. A name that stands there twice fails.
func (s *scan) object(member func(name string)) {
	var names [mostMembers]string
	n := 0
	s.entries(func(name string) {
		if n == len(names) || slices.Contains(names[:n], name) {
			s.failed = true
			return
		}
		names[n] = name
		n++
		member(name)
	})
}

// entries is object for what is read as a map. If a name stands there twice, the last one counts for the other decoder too.
func (s *scan) entries(member func(name string)) {
	for s.delimiter('{'); s.inside('}'); {
		member(s.name())
	}
	s.delimiter('}')
}

// array calls element for each element, which it must read.
func (s *scan) array(element func()) {
	for s.delimiter('['); s.inside(']'); {
		element()
	}
	s.delimiter(']')
}

func (s *scan) inside(end jsontext.Kind) bool {
	return !s.failed && s.decoder.PeekKind() != end
}

func (s *scan) delimiter(kind jsontext.Kind) {
	if s.next(kind) {
		_, err := s.decoder.ReadToken()
		s.check(err)
	}
}

// next reports whether a value, or the end, of this kind comes next; if not, the scan has failed.
func (s *scan) next(kind jsontext.Kind) bool {
	s.failed = s.failed || s.decoder.PeekKind() != kind
	return !s.failed
}

func (s *scan) check(err error) bool {
	s.failed = s.failed || err != nil
	return !s.failed
}

// name is a member's name. One with an escape fails: API servers write none.
func (s *scan) name() string {
	name, escaped := s.quoted()
	s.failed = s.failed || escaped
	return name
}

// string is a string value.
func (s *scan) string() string {
	text, escaped := s.quoted()
	if !escaped {
		return text
	}
	plain, err := jsontext.AppendUnquote(nil, `"`+text+`"`)
	s.check(err)
	return string(plain)
}

// quoted is what stands between the quotes of a string.
func (s *scan) quoted() (text string, escaped bool) {
	if !s.next('"') {
		return "", false
	}
	text = s.value()
	if s.failed {
		return "", false
	}
	text = text[1 : len(text)-1]
	return text, strings.IndexByte(text, '\\') >= 0
}

// value is the text of any value.
func (s *scan) value() string {
	value, err := s.decoder.ReadValue()
	if !s.check(err) {
		return ""
	}
	end := int(s.decoder.InputOffset())
	return s.text[end-len(value) : end]
}

// raw is the text of any value as the machinery keeps it, nil for null. It shares memory with the text that was given.
func (s *scan) raw() []byte {
	if s.failed {
		return nil
	}
	if s.decoder.PeekKind() == 'n' {
		s.skip()
		return nil
	}
	value, err := s.decoder.ReadValue()
	s.check(err)
	return value
}

// boolean is true or false.
func (s *scan) boolean() bool {
	if s.failed || s.decoder.PeekKind() == 't' {
		return !s.failed && s.value() == "true"
	}
	return s.next('f') && s.value() == "true"
}

// strings is a list of strings.
func (s *scan) strings() []string {
	list := []string{}
	s.array(func() { list = append(list, s.string()) })
	return list
}

// skip passes over any value.
func (s *scan) skip() {
	if !s.failed {
		_, err := s.decoder.ReadValue() // SkipValue is slower: it goes through token by token
		s.check(err)
	}
}
