package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// maxNesting bounds Lists in Lists.
const maxNesting = 10

// Reader says what is read of texts. The zero value reads all, with few aliases.
type Reader struct {
	// Judged reports whether an object is of any interest; nil if all are. Others are left out, and may be anything. The name is "" if the
	// object has none.
	Judged func(apiVersion, kind, namespace, name string) bool
	// Spare is how many bytes the aliases of a text may add to it beyond Growth times its size.
	Spare int
}

// Parse reads all objects of a text.
func Parse(file string, text []byte) Result { return Reader{Spare: Spare}.Parse(file, text) }

// Parse reads the objects of a text that are of interest.
func (r Reader) Parse(file string, text []byte) Result {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if i := bytes.IndexByte(text, 0); i >= 0 || !utf8.Valid(text) {
		return Result{Problems: []Note{{Place{File: file}, "it is no text in UTF-8; if it is UTF-16, convert it"}}}
	}
	all := &reading{judged: r.Judged, growth: newGrowth(len(text), r.Spare)}
	if all.judged == nil {
		all.judged = func(_, _, _, _ string) bool { return true }
	}
	split(file, text, func(document part) {
		document.source = sourceOf(document.text)
		document.values(func(p part) {
			p.nodes = &nodes{}
			all.read(p)
		})
	})
	all.Spared, all.Overdrawn = all.growth.spared(), all.growth.overdrawn
	return all.Result
}

// reading is the reading of one text.
type reading struct {
	Result
	judged func(apiVersion, kind, namespace, name string) bool
	growth *growth
}

// read adds the objects of one document.
func (r *reading) read(p part) {
	if p.json {
		if raw, wrong := p.readJSON(); wrong != nil {
			r.Problems = append(r.Problems, *wrong)
		} else {
			r.objects(p, raw, nil, typeOf{})
		}
		return
	}
	if bytes.IndexByte(p.text, '*') >= 0 {
		if root := p.root(); root != nil && !r.growth.take(root) { // what is wrong with a text that has no root is told by the reader of values
			r.Problems = append(r.Problems, Note{p.begin(), tooManyAliases()})
			return
		}
	}
	raw, err := p.readYAML()
	switch {
	case err != nil && isTemplate(p.text):
		r.Notices = append(r.Notices, Note{p.begin(), asTemplate})
	case err != nil:
		r.Problems = append(r.Problems, p.problem(err))
	case bytes.Equal(raw, []byte("null")): // empty, or comments only
	default:
		r.objects(p, raw, nil, typeOf{})
		if note := p.unread(); note != nil {
			r.Problems = append(r.Problems, *note)
		}
	}
}

// readYAML returns the JSON of a text that is YAML. A key twice is an error, other than for kubectl; one that overrides a merged key is none, though
// the strict reader says so.
func (p *part) readYAML() (json.RawMessage, error) {
	raw, err := yaml.YAMLToJSONStrict(p.text)
	if err == nil || !bytes.Contains(p.text, []byte("<<")) {
		return raw, err
	}
	root := p.root()
	if root == nil {
		return nil, err
	}
	if key := writtenTwice(root); key != nil {
		return nil, fmt.Errorf("line %d: key %q already set in map", key.Line, key.Value)
	}
	return yaml.YAMLToJSON(p.text)
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
			place, text = p.at(line, 1), strings.TrimSpace(text[:at[0]]+text[at[1]:])
			place.Line = min(place.Line, p.line+max(0, bytes.Count(bytes.TrimRight(p.text, "\n"), []byte("\n")))) // it may be one beyond the end
			place.Column = 0                                                                                      // the reader names no column
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
	Metadata   *struct {
		Name         string `json:"name"`
		GenerateName string `json:"generateName"`
		Namespace    string `json:"namespace"`
	} `json:"metadata"`
	Items json.RawMessage `json:"items"`
}

// name returns the object's namespace, name, and the begin of a name that the API server chooses.
func (h *head) name() (namespace, name, generated string) {
	if h.Metadata == nil {
		return "", "", ""
	}
	return h.Metadata.Namespace, h.Metadata.Name, h.Metadata.GenerateName
}

// objects adds an object, or the items of a List.
func (r *reading) objects(p part, raw json.RawMessage, within []any, items typeOf) {
	var h head
	err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &h)
	if h.APIVersion == "" && h.Kind == "" {
		h.APIVersion, h.Kind = items.apiVersion, items.kind
	}
	namespace, name, generated := h.name()
	switch {
	case err != nil && h.APIVersion != "" && h.Kind != "" && !r.judged(h.APIVersion, h.Kind, namespace, name):
	case err != nil:
		r.problem(p, within, "it cannot be read as a Kubernetes object: "+plain(err))
	case len(within) > 0 && bytes.Equal(raw, []byte("null")):
		r.notice(p, within, "skipped, as this item of a List is null; kubectl refuses it")
	case h.APIVersion == "" || h.Kind == "":
		r.untyped(p, within, &h)
	case strings.HasSuffix(h.Kind, "List") && h.Items != nil:
		r.list(p, &h, within)
	case !r.judged(h.APIVersion, h.Kind, namespace, name):
	case hasAction(h.APIVersion+h.Kind+name+namespace) || isTemplated(raw):
		r.notice(p, within, asTemplate)
	case name == "" && generated != "":
		r.notice(p, within, fmt.Sprintf("skipped, as the API server chooses the name of this %s (generateName)", h.Kind))
	case name == "":
		r.problem(p, within, fmt.Sprintf("this %s has no metadata.name", h.Kind))
	default:
		r.Documents = append(r.Documents, Document{APIVersion: h.APIVersion, Kind: h.Kind, Namespace: namespace, Name: name, Object: raw, part: p, within: within})
	}
}

// untyped tells of an object without apiVersion or kind. With metadata it is meant for Kubernetes, and without it is something else: the values or
// the Chart.yaml of a Helm chart, for example.
func (r *reading) untyped(p part, within []any, h *head) {
	switch {
	case h.APIVersion == "" && h.Kind == "":
		r.notice(p, within, "skipped, as it is no Kubernetes object: it has no apiVersion and no kind")
	case h.Metadata == nil && h.APIVersion == "":
		r.notice(p, within, "skipped, as it is no Kubernetes object: it has no apiVersion and no metadata")
	case h.Metadata == nil:
		r.notice(p, within, "skipped, as it is no Kubernetes object: it has no kind and no metadata")
	case h.APIVersion == "":
		r.problem(p, within, "it has a kind and no apiVersion")
	default:
		r.problem(p, within, "it has an apiVersion and no kind")
	}
}

func (r *reading) problem(p part, within []any, text string) {
	r.Problems = append(r.Problems, Note{p.objectPlace(within), text})
}

func (r *reading) notice(p part, within []any, text string) {
	r.Notices = append(r.Notices, Note{p.objectPlace(within), text})
}

// objectPlace returns where an object begins.
func (p part) objectPlace(within []any) Place {
	d := Document{part: p, within: within}
	if place, found := d.position(""); found {
		return place
	}
	return p.begin()
}

func (r *reading) list(p part, h *head, within []any) {
	if len(within) > 2*maxNesting {
		r.Problems = append(r.Problems, Note{p.begin(), fmt.Sprintf("it has Lists within Lists, more than %d", maxNesting)})
		return
	}
	var all []json.RawMessage
	if err := json.Unmarshal(h.Items, &all); err != nil {
		r.problem(p, within, "it cannot be read as a List: its items are no list")
		return
	}
	var items typeOf
	if kind := strings.TrimSuffix(h.Kind, "List"); kind != "" {
		items = typeOf{h.APIVersion, kind}
	}
	for i, item := range all {
		path := append(append([]any{}, within...), "items", i)
		r.objects(p, item, path, items)
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
