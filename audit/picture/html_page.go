package picture

import (
	"fmt"
	"html"
	"strings"
)

// pageWriter writes a page. It is no template: text/template calls methods by names that the linker does not know, so a program that has it keeps
// every method of every type, a fifth of the binary.
type pageWriter struct{ b strings.Builder }

// put writes HTML with escaped texts in the place of %s.
func (w *pageWriter) put(format string, texts ...string) {
	escaped := make([]any, len(texts))
	for i, text := range texts {
		escaped[i] = html.EscapeString(text)
	}
	fmt.Fprintf(&w.b, format, escaped...)
}

// raw writes what was made here, as it is.
func (w *pageWriter) raw(text string) { w.b.WriteString(text) }

func (w *pageWriter) page(p *page) {
	w.put("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">\n", p.Policy)
	w.raw(`<meta name="viewport" content="width=device-width, initial-scale=1">` + "\n" + `<meta name="color-scheme" content="light dark">` + "\n")
	w.put("<title>Meshes: %s", p.Headline)
	if p.WrongCount != "" {
		w.put(" (wrong: %s)", p.WrongCount)
	}
	w.raw("</title>\n<style>" + p.Style + "</style>\n</head>\n<body>\n")
	w.header(p)
	w.raw(`<search>
<label for="filter">Filter</label> <input id="filter" type="search" placeholder="namespace, mesh, label or rule" autocomplete="off" spellcheck="false">
<label><input id="only" type="checkbox"> only what is wrong</label>
<output id="found" for="filter only"></output>
</search>
<main>
<div class="picture">
`)
	w.raw(p.Picture + "</div>\n")
	w.namespaces(p.Namespaces)
	w.meshes(p.Meshes)
	w.raw("</main>\n<script>" + p.Script + "</script>\n</body>\n</html>\n")
}

func (w *pageWriter) header(p *page) {
	w.put("<header>\n<h1>%s</h1>\n", p.Headline)
	if len(p.Wrong) == 0 {
		w.raw(`<p class="fine"><svg class="sign" aria-hidden="true"><use href="#mf-ok"/></svg>nothing wrong</p>` + "\n")
	} else {
		w.raw(`<section class="faults" aria-labelledby="faults">` + "\n" + `<h2 id="faults"><svg class="sign" aria-hidden="true"><use href="#mf-wrong"/></svg>`)
		w.put("Wrong: %s</h2>\n<ul>\n", p.WrongCount)
		for _, fault := range p.Wrong {
			w.raw("<li")
			if fault.Namespace != "" {
				w.put(` data-namespace="%s"`, fault.Namespace)
			}
			w.raw("><b>")
			if fault.Kind != "namespace" {
				w.put("%s ", fault.Kind)
			}
			w.put("%s</b> <span>%s</span></li>\n", fault.Name, fault.Why)
		}
		w.raw("</ul>\n</section>\n")
	}
	for _, note := range p.Notes {
		w.put("<p class=\"note\">%s</p>\n", note)
	}
	w.raw("</header>\n")
}

func (w *pageWriter) namespaces(rows []pageNamespace) {
	w.raw("<h2>Namespaces</h2>\n<div class=\"scroll\"><table id=\"namespaces\">\n<thead><tr><th>namespace</th><th>state</th><th>discovered by</th>" +
		"<th>injected by</th><th>rules</th><th>labels</th></tr></thead>\n<tbody>\n")
	for _, row := range rows {
		w.raw("<tr")
		if row.Class != "" {
			w.put(` class="%s"`, row.Class)
		}
		w.put(` data-namespace="%s"><th scope="row">%s</th>`, row.Name, row.Name)
		w.put(`<td><svg class="sign" aria-hidden="true"><use href="#mf-%s"/></svg>%s</td>`, row.Mark, row.State)
		w.put(`<td class="text">%s</td><td>%s</td><td class="text">`, row.Discovered, row.Injected)
		w.findings(row.Findings)
		w.put("</td><td class=\"text labels\">%s</td></tr>\n", row.Labels)
	}
	w.raw("</tbody>\n</table></div>\n")
}

func (w *pageWriter) meshes(rows []pageMesh) {
	w.raw("<h2>Meshes</h2>\n<div class=\"scroll\"><table id=\"meshes\">\n<thead><tr><th>mesh</th><th>kind</th><th>control plane</th><th>version</th>" +
		"<th>discovers</th><th>revisions</th><th>tags</th><th>namespaces</th><th>rules</th></tr></thead>\n<tbody>\n")
	for _, row := range rows {
		w.put(`<tr><th scope="row">%s</th><td>%s`, row.Name, row.Kind)
		if row.Traits != "" {
			w.put(" (%s)", row.Traits)
		}
		w.put(`</td><td>%s</td><td>%s</td>`, row.ControlPlane, row.Version)
		w.put(`<td class="text">%s</td><td class="text">%s</td><td class="text">%s</td>`, row.Discovers, row.Revisions, row.Tags)
		w.put(`<td>%s</td><td class="text">`, fmt.Sprint(row.Namespaces))
		w.findings(row.Findings)
		w.raw("</td></tr>\n")
	}
	w.raw("</tbody>\n</table></div>\n")
}

func (w *pageWriter) findings(findings []Finding) {
	for _, f := range findings {
		w.put("<details><summary>%s %s (%s)</summary>%s</details>", f.Code, f.Name, f.Action, f.Detail)
	}
}
