package picture

import (
	"fmt"
	"strconv"
	"strings"
)

// Sizes in a card, in pixels.
const (
	cardPadding = 12
	headHeight  = 52
	factHeight  = 18
	factIndent  = 62 // of what stands behind the word
	rowHeight   = 26
	tallRow     = 42 // a row with a second line
	rowGap      = 5
	rowInset    = 8 // from the side of the card
	factLines   = 4 // as many selectors, revisions, tags or findings are shown
)

// block is a part of a card: how high it is, and how it is drawn at a place.
type block struct {
	height int
	draw   func(c *canvas, x, y, width int)
}

// card is a box of the picture: a mesh with its namespaces, or what is in none.
type card struct {
	mesh   string // "" if it is none
	label  string // for a screen reader and as a tooltip
	blocks []block
	height int
	rows   map[string]int // where the middle of a namespace's row is, from the top of the card

	column, band   int
	x, y, width    int
	entries, limit int // how many edges have come in at its head
}

func (k *card) add(height int, draw func(c *canvas, x, y, width int)) {
	k.blocks = append(k.blocks, block{height: height, draw: draw})
	k.height += height
}

func (k *card) gap(height int) { k.add(height, func(*canvas, int, int, int) {}) }

// draw draws a card at its place.
func (k *card) draw(c *canvas) {
	c.WriteString("<g>")
	c.rect("card", k.x, k.y, k.width, k.height, 9)
	y := k.y
	for _, b := range k.blocks {
		b.draw(c, k.x, y, k.width)
		y += b.height
	}
	c.end()
}

// headText is what stands in the head of a card: the name, at the right end, where there is room, the kind, and in a line below the namespace of
// the control plane, which is shortened first, and what stands behind it.
type headText struct{ name, kind, place, after string }

// head adds the upper part of a card.
func (k *card) head(s state, h headText) {
	k.add(headHeight, func(c *canvas, x, y, width int) {
		c.group("", k.label, "")
		c.printf("<path class=\"head\" d=\"M%d %dv-%da8 8 0 0 1 8-8h%da8 8 0 0 1 8 8v%dz\"/>", x+1, y+headHeight, headHeight-9, width-18, headHeight-9)
		left, room := x+cardPadding, width-2*cardPadding
		if s.wrong() || s == warned {
			c.icon(iconOf(s), left+7, y+19)
			left, room = left+20, room-20
		}
		c.text(faceMesh, "", left, y+24, faceMesh.fit(h.name, room))
		if faceMesh.width(h.name)+faceSmall.width(h.kind)+10 < room {
			c.textEnding(faceSmall, "muted", x+width-cardPadding, y+23, h.kind)
		}
		below := h.after
		if h.place != "" {
			below = "in " + faceSmall.fit(h.place, width-2*cardPadding-faceSmall.width("in "+h.after)) + h.after
		}
		c.text(faceSmall, "muted", x+cardPadding, y+42, strings.TrimPrefix(below, " · "))
		c.end()
	})
}

// facts adds lines that say the same kind of thing, behind a word for it. More than there is room for are counted.
func (k *card) facts(word string, values []string, class string) {
	if len(values) == 0 {
		return
	}
	all := word + " " + strings.Join(values, ", ")
	if len(values) > factLines {
		more := len(values) - factLines + 1
		values = append(values[:factLines-1:factLines-1], "… "+strconv.Itoa(more)+" more")
	}
	for i, value := range values {
		front := word
		if i > 0 {
			front = ""
		}
		k.add(factHeight, func(c *canvas, x, y, width int) {
			c.group("", all, "")
			c.text(faceSmall, "muted", x+cardPadding, y+13, front)
			c.text(faceValue, class, x+cardPadding+factIndent, y+13, faceValue.fit(value, width-2*cardPadding-factIndent))
			c.end()
		})
	}
}

// findings adds a line for each rule that a mesh breaks.
func (k *card) findings(findings []Finding) {
	shown, more := some(findings, factLines)
	for _, f := range shown {
		s := warned
		if f.Action == "deny" {
			s = denied
		}
		k.add(factHeight+2, func(c *canvas, x, y, width int) {
			text := clean(f.Code + " " + f.Name)
			c.group("", text+": "+f.Detail, "")
			c.icon(iconOf(s), x+cardPadding+7, y+10)
			c.text(faceSmall, colourOf(s), x+cardPadding+20, y+14, faceSmall.fit(text, width-2*cardPadding-20))
			c.end()
		})
	}
	if more > 0 {
		k.more(fmt.Sprintf("%d more", more))
	}
}

// colourOf is the class of a text that tells of a state.
func colourOf(s state) string {
	switch {
	case s.wrong():
		return "bad"
	case s == warned:
		return "warned"
	}
	return "muted"
}

// more adds what is left out, if anything is.
func (k *card) more(rest string) {
	if rest == "" {
		return
	}
	k.add(factHeight, func(c *canvas, x, y, _ int) {
		c.text(faceSmall, "muted", x+cardPadding+20, y+13, "… "+rest)
	})
}

// namespaces adds a row for each namespace, below a line that counts them.
func (k *card) namespaces(v *view, list []Namespace) {
	k.add(factHeight+8, func(c *canvas, x, y, width int) {
		if k.mesh != "" {
			c.printf("<path class=\"rule\" d=\"M%d %dh%d\"/>", x+cardPadding, y+4, width-2*cardPadding)
		}
		c.text(faceSmall, "muted", x+cardPadding, y+20, count(len(list), "namespace"))
	})
	shown, _ := some(list, v.limit)
	for i := range shown {
		k.namespace(v, &shown[i])
	}
	k.more(v.rest(list))
}

func (k *card) namespace(v *view, ns *Namespace) {
	s, below := v.stateOf(ns), v.below(k, ns)
	height := rowHeight
	if below != "" {
		height = tallRow
	}
	k.rows[ns.Name] = k.height + rowGap/2 + height/2
	k.add(height+rowGap, func(c *canvas, x, y, width int) {
		x, y, width = x+rowInset, y+rowGap/2, width-2*rowInset
		c.group("namespace", clean(ns.Name)+": "+v.say(ns, clean)+details(ns), ` data-namespace="`+markup(ns.Name)+`"`)
		c.rect(rowClass(s), x, y, width, height, 5)
		name, class := faceName, ""
		if s.wrong() {
			name = faceStrong
		}
		if s == terminating {
			class = "muted gone"
		}
		c.icon(iconOf(s), x+14, y+height/2)
		c.text(name, class, x+28, y+17, name.fit(clean(ns.Name), width-36))
		if text := aside(s, ns); name.width(clean(ns.Name))+faceValue.width(text) < width-48 {
			c.textEnding(faceValue, "muted", x+width-8, y+17, text)
		}
		c.text(faceSmall, colourOf(s), x+28, y+33, faceSmall.fit(below, width-36))
		c.end()
	})
}

// details are the rules that a namespace breaks, for a tooltip.
func details(ns *Namespace) string {
	var b strings.Builder
	for _, f := range ns.Findings {
		b.WriteString("; " + f.Code + " " + f.Name + ": " + f.Detail)
	}
	return b.String()
}

func rowClass(s state) string {
	switch {
	case s == overlapping:
		return "row-both"
	case s.wrong():
		return "row-bad"
	case s == warned:
		return "row-warn"
	}
	return "row"
}

// below is the second line of a row: what is remarkable about a namespace in the card where it stands.
func (v *view) below(k *card, ns *Namespace) string {
	var others []string
	for _, m := range ns.DiscoveredBy {
		if m != k.mesh {
			others = append(others, briefly(m))
		}
	}
	switch s := v.stateOf(ns); {
	case s == wrongMesh && len(ns.DiscoveredBy) == 1, s == undiscovered, s == fromAfar:
		return "injected by " + briefly(ns.InjectedMesh) + through(ns, briefly)
	case s == wrongMesh:
		return "injected by " + briefly(ns.InjectedMesh) + ", also discovered by " + and(others)
	case s == overlapping:
		return "also discovered by " + and(others)
	case s == unknown:
		return "no revision is called " + briefly(ns.InjectedBy)
	case s == denied, s == warned:
		return codes(ns.Findings, clean)
	case s == terminating:
		return "being deleted"
	}
	return ""
}

// aside is what stands at the right end of a row, where there is room: the revision that injects, if it is not called as its mesh.
func aside(s state, ns *Namespace) string {
	if s != injected {
		return ""
	}
	return strings.TrimPrefix(through(ns, clean), " through ")
}
