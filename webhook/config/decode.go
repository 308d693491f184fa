package config

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// file is what a configuration file may have.
type file struct {
	APIVersion    string `yaml:"apiVersion"`
	Kind          string `yaml:"kind"`
	Configuration `yaml:",inline"`
}

func (f *file) validate(codes []string) field.ErrorList {
	problems := f.Validate(codes)
	for _, header := range []struct{ name, value, want string }{{"apiVersion", f.APIVersion, APIVersion}, {"kind", f.Kind, Kind}} {
		if p := field.NewPath(header.name); header.value == "" {
			problems = append(problems, field.Required(p, "a configuration file must have it"))
		} else if err := isOneOf(header.value, p, header.want); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// decode reads a document into f. Fields that the document does not have keep their values.
func decode(root *yaml.Node, f *file, codes []string) []Problem {
	s := &structure{lines: map[string]int{}}
	s.compare(root, reflect.TypeOf(*f), nil)
	if err := root.Decode(f); err != nil && len(s.problems) == 0 {
		s.report(root, field.Invalid(top(), field.OmitValueType{}, err.Error()))
	}
	if s.ambiguous {
		return s.problems
	}
	wrong := map[string]bool{}
	for _, p := range s.problems {
		wrong[p.Err.Field] = true
	}
	problems := s.problems
	for _, err := range f.validate(codes) {
		if !wrong[err.Field] && !wrong[top().String()] { // one mistake, one complaint
			problems = append(problems, Problem{Line: s.lines[err.Field], Err: err})
		}
	}
	return problems
}

// structure compares a document with a type. It is strict where the YAML library is not, which takes a number for a string and
// null for anything, and it knows the path of every field.
type structure struct {
	// lines are those of the values, by path.
	lines map[string]int
	// ambiguous is true if a key is no string, or there twice: then what is decoded is not worth validating.
	ambiguous bool
	problems  []Problem
}

// compare reports where the node is not of the type, which is made of structs, maps by strings, lists and strings.
func (s *structure) compare(n *yaml.Node, t reflect.Type, p *field.Path) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	s.lines[p.String()] = n.Line
	var want string
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		if n.Kind == yaml.MappingNode {
			s.mapping(n, t, p)
			return
		}
		want = "a mapping (name: value)"
	case reflect.Slice:
		if n.Kind == yaml.SequenceNode {
			for i, item := range n.Content {
				s.compare(item, t.Elem(), p.Index(i))
			}
			return
		}
		want = "a list of strings (write [] for an empty one, or leave the field out for its default)"
	default:
		if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
			return
		}
		want = "a string"
	}
	s.report(n, field.Invalid(orTop(p), field.OmitValueType{}, fmt.Sprintf("must be %s, is %s", want, describe(n))))
}

// mapping compares the values of a mapping, and reports the keys that it must not have.
func (s *structure) mapping(n *yaml.Node, t reflect.Type, p *field.Path) {
	known, types := fieldsOf(t)
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at, isField := p.Child(key.Value), types[key.Value] != nil
		if t.Kind() == reflect.Map {
			at = p.Key(key.Value)
		}
		switch first, isSecond := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			s.report(key, field.Invalid(orTop(p), field.OmitValueType{}, "every key must be a string, one is "+describe(key)))
			s.ambiguous = true
			continue
		case isSecond:
			s.report(key, field.Invalid(at, field.OmitValueType{}, fmt.Sprintf("is here a second time; the first is in line %d", first)))
			s.ambiguous = true
			continue
		case t.Kind() == reflect.Map:
			s.compare(value, t.Elem(), at)
		case isField:
			s.compare(value, types[key.Value], at)
		default:
			s.report(key, unknownField(at, key.Value, known))
		}
		seen[key.Value] = key.Line
	}
}

// fieldsOf returns the names of a struct's fields, in their order, and their types; nothing for a map.
func fieldsOf(t reflect.Type) (names []string, types map[string]reflect.Type) {
	types = map[string]reflect.Type{}
	if t.Kind() != reflect.Struct {
		return nil, types
	}
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("yaml"); name != ",inline" {
			names = append(names, name)
			types[name] = f.Type
		}
	}
	return names, types
}

func (s *structure) report(n *yaml.Node, err *field.Error) {
	s.problems = append(s.problems, Problem{Line: n.Line, Err: err})
}

func orTop(p *field.Path) *field.Path {
	if p == nil {
		return top()
	}
	return p
}

// describe names the type of a node in the words of a person who writes YAML.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "empty (null)"
	case n.ShortTag() == "!!str":
		return fmt.Sprintf("the string %q", n.Value)
	case n.ShortTag() == "!!bool":
		return "the boolean " + n.Value
	case n.ShortTag() == "!!int", n.ShortTag() == "!!float":
		return "the number " + n.Value
	}
	return strings.TrimPrefix(n.ShortTag(), "!!") + " " + n.Value
}
