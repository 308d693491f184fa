package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// decoder walks the nodes of a file and collects everything that is wrong on the way. A value that is wrong leaves what
// was there before, so one mistake does not cause a second complaint.
type decoder struct {
	codes    []string
	problems []Problem
}

// member is one field that a mapping may have.
type member struct {
	name   string
	decode func(n *yaml.Node, p *field.Path)
}

func (d *decoder) configuration(root *yaml.Node, c *Configuration) {
	var apiVersion, kind string
	d.object(root, nil, []member{
		{"apiVersion", d.text(&apiVersion, isOneOf(APIVersion))},
		{"kind", d.text(&kind, isOneOf(Kind))},
		{"mode", func(n *yaml.Node, p *field.Path) { decodeWord(d, n, p, &c.Mode, ModeEnforce, ModeWarn) }},
		{"rules", func(n *yaml.Node, p *field.Path) { d.rules(n, p, c.Rules) }},
		{"discoveryLabels", d.texts(&c.DiscoveryLabels, isLabelKey)},
		{"exemptNamespaces", d.texts((*[]string)(&c.ExemptNamespaces), isNamespaceGlob)},
		{"exemptUsers", d.texts((*[]string)(&c.ExemptUsers), isUserGlob)},
		{"controlPlaneNamespaces", d.texts((*[]string)(&c.ControlPlaneNamespaces), isNamespaceGlob)},
		{"fillFrom", func(n *yaml.Node, p *field.Path) { d.fillFrom(n, p, &c.FillFrom) }},
		{"meshMap", func(n *yaml.Node, p *field.Path) { d.meshMap(n, p, &c.MeshMap) }},
	}, "apiVersion", "kind")
}

// rules decodes the actions by rule code.
func (d *decoder) rules(n *yaml.Node, p *field.Path, rules map[string]Action) {
	d.entries(n, p, p.Key, func(key, value *yaml.Node, at *field.Path) {
		if err := isRuleCode(key.Value, at, d.codes); err != nil {
			d.report(key, err)
		}
		var action Action
		decodeWord(d, value, at, &action, ActionDeny, ActionWarn, ActionOff)
		rules[key.Value] = action
	})
}

func (d *decoder) fillFrom(n *yaml.Node, p *field.Path, into *[]FillSource) {
	all := words(fillSources())
	var names []string
	d.texts(&names, isOneOf(all...))(n, p)
	sources := make([]FillSource, 0, len(names))
	for _, name := range names {
		sources = append(sources, FillSource(name))
	}
	*into = sources
}

func (d *decoder) meshMap(n *yaml.Node, p *field.Path, into *MeshMap) {
	d.object(n, p, []member{{"name", d.text(&into.Name, isMeshMapName)}})
}

// object decodes a mapping with known fields. The required ones are complained about when they are absent.
func (d *decoder) object(n *yaml.Node, p *field.Path, members []member, required ...string) {
	seen := map[string]bool{}
	child := func(name string) *field.Path { return p.Child(name) }
	isMapping := d.entries(n, p, child, func(key, value *yaml.Node, at *field.Path) {
		seen[key.Value] = true
		for _, m := range members {
			if m.name == key.Value {
				m.decode(value, at)
				return
			}
		}
		d.report(key, unknownField(at, key.Value, members))
	})
	for _, name := range required {
		if isMapping && !seen[name] {
			d.problems = append(d.problems, Problem{Err: field.Required(p.Child(name), "a configuration file must have it")})
		}
	}
}

// entries calls each for every key of a mapping that is a string and the first of its name; it reports the other keys,
// and any other node than a mapping. pathOf makes the path of an entry from its key.
func (d *decoder) entries(n *yaml.Node, p *field.Path, pathOf func(string) *field.Path, each func(key, value *yaml.Node, at *field.Path)) (isMapping bool) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		d.wrongType(n, p, "a mapping (name: value)")
		return false
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := resolve(n.Content[i])
		switch first, isSecond := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			d.report(key, field.Invalid(orTop(p), field.OmitValueType{}, "every key must be a string, one is "+describe(key)))
		case isSecond:
			d.report(key, field.Invalid(pathOf(key.Value), field.OmitValueType{}, fmt.Sprintf("is here a second time; the first is in line %d", first)))
		default:
			seen[key.Value] = key.Line
			each(key, n.Content[i+1], pathOf(key.Value))
		}
	}
	return true
}

// text returns a decoder for one string.
func (d *decoder) text(into *string, check check) func(*yaml.Node, *field.Path) {
	return func(n *yaml.Node, p *field.Path) {
		n = resolve(n)
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
			d.wrongType(n, p, "a string")
			return
		}
		if err := check(n.Value, p); err != nil {
			d.report(n, err)
			return
		}
		*into = n.Value
	}
}

// texts returns a decoder for a list of different strings. An empty list comes out as one that is not nil.
func (d *decoder) texts(into *[]string, check check) func(*yaml.Node, *field.Path) {
	return func(n *yaml.Node, p *field.Path) {
		n = resolve(n)
		if n.Kind != yaml.SequenceNode {
			d.wrongType(n, p, "a list of strings (write [] for an empty one, or leave the field out for its default)")
			return
		}
		values := make([]string, 0, len(n.Content))
		seen := map[string]bool{}
		for i, item := range n.Content {
			var value string
			d.text(&value, check)(item, p.Index(i))
			if seen[value] {
				d.report(item, field.Duplicate(p.Index(i), value))
			}
			seen[value] = value != "" // No check lets "" pass: it stands for a value that was reported already.
			values = append(values, value)
		}
		*into = values
	}
}

// decodeWord decodes one of the allowed words.
func decodeWord[T ~string](d *decoder, n *yaml.Node, p *field.Path, into *T, allowed ...T) {
	word := string(*into)
	d.text(&word, isOneOf(words(allowed)...))(n, p)
	*into = T(word)
}

func words[T ~string](values []T) []string {
	out := make([]string, 0, len(values))
	for _, v := range values {
		out = append(out, string(v))
	}
	return out
}

func (d *decoder) report(n *yaml.Node, err *field.Error) {
	d.problems = append(d.problems, Problem{Line: n.Line, Err: err})
}

func (d *decoder) wrongType(n *yaml.Node, p *field.Path, want string) {
	d.report(n, field.Invalid(orTop(p), field.OmitValueType{}, fmt.Sprintf("must be %s, is %s", want, describe(n))))
}

func orTop(p *field.Path) *field.Path {
	if p == nil {
		return top()
	}
	return p
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// describe names the type of a node in the words of somebody who writes YAML.
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
