package picture

import (
	"fmt"
	"html"
	"strings"
)

// canvas is where SVG is written. Coordinates are whole pixels, so that they read the same everywhere.
type canvas struct {
	strings.Builder
}

// markup makes text that can stand between tags and between quotes. The entities of package html are numbers or known to XML.
func markup(text string) string { return html.EscapeString(clean(text)) }

func (c *canvas) printf(format string, values ...any) { fmt.Fprintf(c, format, values...) }

// group opens a group with a title, which a browser shows as a tooltip. The caller ends it.
func (c *canvas) group(class, title, attributes string) {
	c.printf("<g class=\"%s\"%s><title>%s</title>", class, attributes, markup(title))
}

func (c *canvas) end() { c.WriteString("</g>\n") }

func (c *canvas) rect(class string, x, y, width, height, radius int) {
	c.printf("<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\"/>", class, x, y, width, height, radius)
}

// text sets a line that begins at x. It is as wide as is estimated at most: where the estimate is uncertain, the browser is told.
func (c *canvas) text(f face, class string, x, y int, text string) {
	c.set(f, class, x, y, text, "")
}

// textEnding sets a line that ends at x.
func (c *canvas) textEnding(f face, class string, x, y int, text string) {
	c.set(f, class, x, y, text, ` text-anchor="end"`)
}

func (c *canvas) set(f face, class string, x, y int, text, attributes string) {
	if text == "" {
		return
	}
	if !measured(text) {
		attributes += fmt.Sprintf(` textLength="%d" lengthAdjust="spacingAndGlyphs"`, f.width(text))
	}
	c.printf("<text class=\"%s\" x=\"%d\" y=\"%d\"%s>%s</text>", strings.TrimSpace(f.class+" "+class), x, y, attributes, markup(text))
}

// icon puts a sign of 14 by 14 pixels around a centre.
func (c *canvas) icon(name string, x, y int) {
	c.printf("<use href=\"#mf-%s\" x=\"%d\" y=\"%d\"/>", name, x-7, y-7)
}

// icons are the signs. Each has a shape of its own, so that no colour has to be told from another.
const icons = `<defs>
<g id="mf-wrong"><circle class="i-bad" cx="7" cy="7" r="7"/><path class="i-cut" d="M4.2 4.2L9.8 9.8M9.8 4.2L4.2 9.8"/></g>
<g id="mf-overlap"><circle class="i-ring" cx="4.7" cy="7" r="3.9"/><circle class="i-ring" cx="9.3" cy="7" r="3.9"/></g>
<g id="mf-warn"><path class="i-warn" d="M7 .8L13.6 13H.4Z"/><path class="i-cut" d="M7 5.2V8.6M7 10.2V11.4"/></g>
<g id="mf-ok"><circle class="i-good" cx="7" cy="7" r="7"/><path class="i-cut" d="M3.8 7.3L6.1 9.6L10.3 4.8"/></g>
<g id="mf-in"><circle class="i-good" cx="7" cy="7" r="4"/></g>
<g id="mf-out"><circle class="i-idle" cx="7" cy="7" r="3.4"/></g>
<g id="mf-gone"><path class="i-idle" d="M3.5 3H10.5L3.5 11H10.5Z"/></g>
<g id="mf-none"><path class="i-idle" d="M3.6 7H10.4"/></g>
</defs>
`

// iconOf is the sign of a state.
func iconOf(s state) string {
	switch {
	case s == overlapping:
		return "overlap"
	case s.wrong():
		return "wrong"
	case s == warned:
		return "warn"
	case s == injected, s == fromAfar:
		return "in"
	case s == terminating:
		return "gone"
	case s == discovered:
		return "out"
	}
	return "none"
}
