package picture

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"strings"
)

var (
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string
)

// page is what a page is filled with. Its texts are escaped when it is written, but for style, script and picture, which are made here.
type page struct {
	Policy     string
	Style      string
	Script     string
	Headline   string
	Wrong      []pageFault
	WrongCount string
	Notes      []string
	Picture    string
	Namespaces []pageNamespace
	Meshes     []pageMesh
}

type pageFault struct{ Namespace, Kind, Name, Why string }

type pageNamespace struct {
	Name, State, Class, Mark, Discovered, Injected, Labels string
	Findings                                               []Finding
}

type pageMesh struct {
	Name, Kind, ControlPlane, Version, Traits, Discovers, Revisions, Tags string
	Namespaces                                                            int
	Findings                                                              []Finding
}

// asHTML writes a page: what is wrong on top, the picture, and tables with all namespaces, which can be searched.
func asHTML(v *view) (string, error) {
	style := css() + pageStyle
	p := page{
		// Nothing is loaded from anywhere, and no script or style runs but the two that are meant.
		Policy: "default-src 'none'; style-src '" + digest(style) + "'; script-src '" + digest(pageScript) +
			"'; base-uri 'none'; form-action 'none'",
		Style:      style,
		Script:     pageScript,
		Headline:   count(len(v.Meshes), "mesh") + ", " + count(v.total, "namespace"),
		WrongCount: strings.Join(v.wrongCounts(), ", "),
		Picture:    drawing(v, false),
		Namespaces: v.pageNamespaces(),
		Meshes:     v.pageMeshes(),
	}
	for _, text := range append(v.notes(), v.missing()...) {
		p.Notes = append(p.Notes, clean(text))
	}
	for _, f := range v.wrong {
		entry := pageFault{Kind: f.kind, Name: clean(f.name), Why: v.sayFault(f, clean)}
		if f.ns != nil {
			entry.Namespace = clean(f.name)
		}
		p.Wrong = append(p.Wrong, entry)
	}
	var w pageWriter
	w.page(&p)
	return w.b.String(), nil
}

// digest is the source expression of a content security policy for an inline element with that text.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// pageNamespaces are all namespaces, the worst first.
func (v *view) pageNamespaces() []pageNamespace {
	var rows []pageNamespace
	for _, ns := range v.all() {
		s := v.stateOf(&ns)
		row := pageNamespace{Name: clean(ns.Name), State: s.String(), Mark: iconOf(s), Discovered: cleaned(ns.DiscoveredBy, ", "), Injected: clean(ns.InjectedBy),
			Labels: cleaned(ns.Labels, " "), Findings: cleanFindings(ns.Findings)}
		if ns.InjectedMesh != "" && ns.InjectedMesh != ns.InjectedBy {
			row.Injected += " (" + clean(ns.InjectedMesh) + ")"
		}
		if s.wrong() {
			row.Class = "wrong"
		}
		rows = append(rows, row)
	}
	return rows
}

func (v *view) pageMeshes() []pageMesh {
	var rows []pageMesh
	for i := range v.Meshes {
		m := &v.Meshes[i]
		row := pageMesh{Name: clean(m.Name), Kind: clean(m.Kind), ControlPlane: clean(m.ControlPlane), Version: clean(m.version()),
			Traits: strings.Join(m.traits(), ", "), Discovers: strings.Join(m.discovers(), " or "), Namespaces: len(m.Namespaces),
			Findings: cleanFindings(m.Findings)}
		var revisions, tags []string
		for _, r := range m.Revisions {
			revisions = append(revisions, r.Name+m.difference(r))
		}
		for _, t := range m.Tags {
			tags = append(tags, t.Name+" → "+t.Revision)
		}
		row.Revisions, row.Tags = cleaned(revisions, ", "), cleaned(tags, ", ")
		rows = append(rows, row)
	}
	return rows
}

func cleaned(texts []string, separator string) string { return clean(strings.Join(texts, separator)) }

func cleanFindings(findings []Finding) []Finding {
	texts := make([]Finding, len(findings))
	for i, f := range findings {
		texts[i] = Finding{Code: clean(f.Code), Name: clean(f.Name), Action: clean(f.Action), Detail: clean(f.Detail)}
	}
	return texts
}
