package picture

import (
	"fmt"
	"strings"
)

// Sizes of the picture, in pixels.
const (
	pageMargin   = 24
	pageMinimum  = 800 // its width
	cardMinimum  = 280
	cardMaximum  = 420
	columnGutter = 40
	bandGutter   = 26
	lanePadding  = 19 // between a card and the nearest lane of a gutter
	laneStep     = 8
	mostLanes    = 20 // in one gutter; beyond, edges share them
)

// layout is where everything stands: meshes in columns and bands, and at the right a column of what is in none. Edges run in the gutters between,
// each pair of cards in a lane of its own, so that none crosses a card.
type layout struct {
	*view
	cards   []*card // the meshes, in the order of the view
	side    []*card
	columns int // of meshes
	bands   int
	wires   []*wire
	down    []lanes // the gutters between columns; the first and the last are the margins
	across  []lanes // the gutters above bands
	width   int
	height  int
}

// newLayout places everything below top. least is how wide the picture is at least.
func newLayout(v *view, top int) *layout {
	l := &layout{view: v}
	for i := range v.Meshes {
		l.cards = append(l.cards, l.meshCard(&v.Meshes[i]))
	}
	l.sideCards()
	l.columns, l.bands = grid(len(l.cards))
	for i, k := range l.cards {
		k.column, k.band = i%max(l.columns, 1), i/max(l.columns, 1)
	}
	for _, k := range l.side {
		k.column = l.columns
	}
	l.wire()
	l.place(top)
	return l
}

// grid is how many columns and bands n meshes stand in.
func grid(n int) (columns, bands int) {
	most := 3
	switch {
	case n == 0:
		return 0, 0
	case n > 40:
		most = 5
	case n > 12:
		most = 4
	}
	bands = (n + most - 1) / most
	return (n + bands - 1) / bands, bands
}

func (l *layout) meshCard(m *Mesh) *card {
	k := &card{mesh: m.Name, label: strings.Join(append([]string{m.Kind, m.Name, "in", m.ControlPlane, m.version()}, m.traits()...), " "), rows: map[string]int{}}
	k.head(meshState(m), headText{name: clean(m.Name), kind: clean(m.Kind), place: clean(m.ControlPlane), after: m.behind()})
	k.gap(6)
	class := ""
	if m.Everything {
		class = "bad"
	}
	k.facts("discovers", m.discovers(), class)
	var revisions, tags, elsewhere []string
	for _, r := range m.Revisions {
		revisions = append(revisions, clean(r.Name+m.difference(r)))
	}
	for _, t := range m.Tags {
		tags = append(tags, clean(t.Name)+" → "+clean(t.Revision))
	}
	for _, ns := range l.injectsElsewhere(m.Name) {
		elsewhere = append(elsewhere, clean(ns.Name+" of "+and(ns.DiscoveredBy)))
	}
	k.facts("revision", revisions, "")
	k.facts("tag", tags, "")
	k.facts("injects", elsewhere, "bad")
	k.findings(m.Findings)
	k.limit = max(1, (k.height-20)/laneStep)
	k.namespaces(l.view, m.Namespaces)
	k.gap(8)
	return k
}

// behind is what stands behind the namespace of the control plane, in the head of a mesh.
func (m *Mesh) behind() string {
	var b strings.Builder
	for _, word := range append([]string{clean(m.version())}, m.traits()...) {
		if word != "" {
			b.WriteString(" · " + word)
		}
	}
	return faceSmall.fit(b.String(), 150)
}

// difference says what tells a revision from the other ones of its mesh.
func (m *Mesh) difference(r Revision) string {
	switch {
	case len(m.Revisions) == 1:
		return ""
	case r.Active:
		return " (active)"
	case r.Version != "":
		return " (" + r.Version + ")"
	}
	return ""
}

// sideCards makes the cards of what is in no mesh.
func (l *layout) sideCards() {
	if len(l.Unassigned) > 0 {
		k := &card{label: "Namespaces that no mesh discovers", rows: map[string]int{}}
		k.head(outside, headText{name: "no mesh", after: "no mesh discovers these"})
		k.namespaces(l.view, l.Unassigned)
		k.gap(8)
		l.side = append(l.side, k)
	}
	if len(l.TagsWithoutTarget) > 0 {
		k := &card{label: "Tags that point at no revision"}
		k.head(unknown, headText{name: "tags", after: "their revisions do not exist"})
		k.gap(6)
		shown, more := some(l.TagsWithoutTarget, l.limit)
		for _, t := range shown {
			text := clean(t.Name) + " → " + clean(t.Revision)
			k.add(factHeight, func(c *canvas, x, y, width int) {
				c.group("", text, "")
				c.text(faceValue, "", x+cardPadding, y+13, faceValue.fit(text, width-2*cardPadding))
				c.end()
			})
		}
		if more > 0 {
			k.more(fmt.Sprintf("%d more", more))
		}
		k.gap(8)
		l.side = append(l.side, k)
	}
}

// place gives every card its place, once it is known how wide the gutters are.
func (l *layout) place(top int) {
	columns := l.columns
	if len(l.side) > 0 {
		columns++
	}
	gutters := 0
	for i := range columns + 1 {
		gutters += l.gutter(i, columns)
	}
	width := cardMinimum
	if columns > 0 {
		width = min(max((pageMinimum-gutters)/columns, cardMinimum), cardMaximum)
	}
	lefts := make([]int, columns)
	x := 0
	for i := range columns {
		x += l.gutter(i, columns)
		lefts[i] = x
		x += width
	}
	l.width = max(x+l.gutter(columns, columns), pageMinimum)
	y := top
	for band := range l.bands {
		y += l.across[band].size(bandGutter)
		highest := 0
		for _, k := range l.cards {
			if k.band == band {
				k.x, k.y, k.width = lefts[k.column], y, width
				highest = max(highest, k.height)
			}
		}
		y += highest
	}
	l.height = y
	y = top + bandGutter
	if l.bands > 0 {
		y = top + l.across[0].size(bandGutter)
	}
	for _, k := range l.side {
		k.x, k.y, k.width = lefts[k.column], y, width
		y += k.height + bandGutter
		l.height = max(l.height, k.y+k.height)
	}
}

// gutter is the width of the gutter at the left of a column.
func (l *layout) gutter(i, columns int) int {
	if i == 0 || i == columns {
		return l.down[i].size(pageMargin)
	}
	return l.down[i].size(columnGutter)
}
