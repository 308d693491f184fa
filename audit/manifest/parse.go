package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// maxExpanded bounds what aliases make of a text, in bytes. Kubernetes' objects have no need of more.
const maxExpanded = 32 << 20

// expanded returns how many bytes the values of a text have once its aliases are written out; more than maxExpanded if it cannot be told.
func (p *part) expanded() int {
	root := p.root()
	if root == nil {
		return 0 // what is wrong with it is told by the reader of values
	}
	sizes := map[*yamlv3.Node]int{}
	var size func(n *yamlv3.Node, depth int) int
	size = func(n *yamlv3.Node, depth int) int {
		if known, ok := sizes[n]; ok {
			return known
		}
		if depth > maxDepth {
			return maxExpanded + 1
		}
		sizes[n] = maxExpanded + 1 // of a node that contains itself
		total := len(n.Value) + 1
		if n.Kind == yamlv3.AliasNode {
			total = size(n.Alias, depth+1)
		}
		for _, child := range n.Content {
			if total = min(total+size(child, depth+1), maxExpanded+1); total > maxExpanded {
				break
			}
		}
		sizes[n] = total
		return total
	}
	return size(root, 0)
}

// maxDepth bounds how deep values are nested.
const maxDepth = 1000

// isTemplate reports whether a text that cannot be read is one of Helm's, by an action where YAML has no quotes: at the begin of a line, or as a
// bare value.
func isTemplate(text []byte) bool { return template().Match(text) }

func template() *regexp.Regexp { return regexp.MustCompile(`(?m)^\s*(?:- )?(?:[\w./-]+:\s+)?\{\{`) }

// maxNesting bounds Lists in Lists.
const maxNesting = 10

// Parse reads all objects of a text.
func Parse(file string, text []byte) Result {
	var r Result
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if i := bytes.IndexByte(text, 0); i >= 0 || !utf8.Valid(text) {
		r.Problems = append(r.Problems, Note{Place{File: file}, "it is no text in UTF-8; if it is UTF-16, convert it"})
		return r
	}
	split(file, text, func(document part) {
		document.source = sourceOf(document.text)
		document.values(func(p part) {
			p.nodes = &nodes{}
			p.read(&r)
		})
	})
	return r
}

// read adds the objects of one document.
func (p part) read(r *Result) {
	if p.json {
		if raw, wrong := p.readJSON(); wrong != nil {
			r.Problems = append(r.Problems, *wrong)
		} else {
			p.objects(raw, nil, typeOf{}, r)
		}
		return
	}
	if bytes.IndexByte(p.text, '*') >= 0 && p.expanded() > maxExpanded {
		r.Problems = append(r.Problems, Note{p.begin(), fmt.Sprintf("it cannot be read: its aliases make more than %d MiB of it", maxExpanded>>20)})
		return
	}
	raw, err := yaml.YAMLToJSONStrict(p.text)
	switch {
	case err != nil && isTemplate(p.text):
		r.Notices = append(r.Notices, Note{p.begin(), "skipped, as it is a template; check what helm template makes of it"})
	case err != nil:
		r.Problems = append(r.Problems, p.problem(err))
	case bytes.Equal(raw, []byte("null")): // empty, or comments only
	default:
		p.objects(raw, nil, typeOf{}, r)
	}
}

// lineOf finds the line in an error of the YAML reader.
func lineOf() *regexp.Regexp { return regexp.MustCompile(`line (\d+): `) }

// problem tells why a document cannot be read, at the line that the reader names.
func (p part) problem(err error) Note {
	text := err.Error()
	for _, prefix := range []string{"error converting YAML to JSON: ", "yaml: ", "unmarshal errors:\n"} {
		text = strings.TrimPrefix(text, prefix)
	}
	place := p.begin()
	if at := lineOf().FindStringSubmatchIndex(text); at != nil {
		if line, err := strconv.Atoi(text[at[2]:at[3]]); err == nil {
			line = min(line, max(1, bytes.Count(bytes.TrimRight(p.text, "\n"), []byte("\n"))+1)) // it may be one beyond the end
			place, text = p.at(line, 1), strings.TrimSpace(text[:at[0]]+text[at[1]:])
			place.Column = 0 // the reader names no column
		}
	}
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	return Note{place, "it cannot be read: " + text}
}

// typeOf is what a typed List says of its items.
type typeOf struct{ apiVersion, kind string }

// head is what tells objects apart.
type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name         string `json:"name"`
		GenerateName string `json:"generateName"`
		Namespace    string `json:"namespace"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// objects adds an object, or the items of a List.
func (p part) objects(raw json.RawMessage, within []any, items typeOf, r *Result) {
	note := func(text string) Note {
		d := Document{part: p, within: within}
		place, found := d.position("")
		if !found {
			place = p.begin()
		}
		return Note{place, text}
	}
	var h head
	if err := json.Unmarshal(raw, &h); err != nil {
		r.Problems = append(r.Problems, note("it cannot be read as a Kubernetes object: "+plain(err)))
		return
	}
	if h.APIVersion == "" && h.Kind == "" {
		h.APIVersion, h.Kind = items.apiVersion, items.kind
	}
	switch {
	case h.APIVersion == "" && h.Kind == "":
		r.Notices = append(r.Notices, note("skipped, as it is no Kubernetes object: it has no apiVersion and no kind"))
	case h.APIVersion == "":
		r.Problems = append(r.Problems, note("it has a kind and no apiVersion"))
	case h.Kind == "":
		r.Problems = append(r.Problems, note("it has an apiVersion and no kind"))
	case strings.HasSuffix(h.Kind, "List") && h.Items != nil:
		p.list(&h, within, r)
	case strings.Contains(h.APIVersion+h.Kind+h.Metadata.Name+h.Metadata.Namespace, "{{"):
		r.Notices = append(r.Notices, note("skipped, as it is a template; check what helm template makes of it"))
	case h.Metadata.Name == "" && h.Metadata.GenerateName != "":
		r.Notices = append(r.Notices, note(fmt.Sprintf("skipped, as the API server chooses the name of this %s (generateName)", h.Kind)))
	case h.Metadata.Name == "":
		r.Problems = append(r.Problems, note(fmt.Sprintf("this %s has no metadata.name", h.Kind)))
	default:
		r.Documents = append(r.Documents, Document{
			APIVersion: h.APIVersion, Kind: h.Kind, Namespace: h.Metadata.Namespace, Name: h.Metadata.Name, Object: raw, part: p, within: within,
		})
	}
}

func (p part) list(h *head, within []any, r *Result) {
	if len(within) > 2*maxNesting {
		r.Problems = append(r.Problems, Note{p.begin(), fmt.Sprintf("it has Lists within Lists, more than %d", maxNesting)})
		return
	}
	var items typeOf
	if kind := strings.TrimSuffix(h.Kind, "List"); kind != "" {
		items = typeOf{h.APIVersion, kind}
	}
	for i, item := range h.Items {
		path := append(append([]any{}, within...), "items", i)
		p.objects(item, path, items, r)
	}
}

// plain tells what is wrong with a type in the words of YAML.
func plain(err error) string {
	if wrong, ok := err.(*json.UnmarshalTypeError); ok { //nolint:errorlint // it is not wrapped
		if wrong.Field == "" {
			return "it is no mapping"
		}
		return fmt.Sprintf("%s is a %s", wrong.Field, wrong.Value)
	}
	return err.Error()
}

func groupOf(apiVersion string) string {
	group, _, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		return ""
	}
	return group
}
