package picture

import (
	"strconv"
	"strings"
)

// svg draws the map as a picture of its own: what is wrong on top, then the meshes.
func svg(v *view) string { return drawing(v, true) }

// drawing draws the map. A picture of its own has its style in it, and the list of what is wrong; one in a page has neither.
func drawing(v *view, alone bool) string {
	head := &canvas{}
	l := newLayout(v, 0) // to know how wide it is
	top := l.header(head, alone)
	l = newLayout(v, top)
	bottom := l.height + pageMargin
	c := &canvas{}
	c.printf("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-labelledby=\"mf-title mf-desc\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n",
		l.width, bottom, l.width, bottom)
	c.printf("<title id=\"mf-title\">%s</title>\n<desc id=\"mf-desc\">%s</desc>\n", markup(v.headline()), markup(v.description()))
	if alone {
		c.printf("<style>\n%s</style>\n", css())
	}
	c.WriteString(icons)
	c.rect("page", 0, 0, l.width, bottom, 0)
	c.WriteString("\n" + head.String())
	for _, k := range append(l.cards[:len(l.cards):len(l.cards)], l.side...) {
		k.draw(c)
	}
	l.drawWires(c)
	c.WriteString("</svg>\n")
	return c.String()
}

// description says in words what the picture shows.
func (v *view) description() string {
	var b strings.Builder
	shown, more := some(v.wrong, v.limit)
	for _, f := range shown {
		b.WriteString("Wrong: " + f.kind + " " + clean(f.name) + ": " + v.sayFault(f, clean) + ". ")
	}
	if more > 0 {
		b.WriteString(strconv.Itoa(more) + " more are wrong. ")
	}
	for i := range v.Meshes {
		m := &v.Meshes[i]
		b.WriteString("Mesh " + clean(m.Name) + " discovers " + count(len(m.Namespaces), "namespace") + ". ")
	}
	b.WriteString("No mesh discovers " + count(len(v.Unassigned), "namespace") + ".")
	return b.String()
}

// header draws what stands above the meshes, and returns where that ends.
func (l *layout) header(c *canvas, alone bool) int {
	y := 0
	if alone {
		y = l.title(c)
		if len(l.wrong) > 0 {
			y = l.panel(c, y+10)
		}
		for _, text := range append(l.notes(), l.missing()...) {
			c.group("", text, "")
			c.text(faceText, "", pageMargin, y+22, faceText.fitEnd(clean(text), l.width-2*pageMargin))
			c.end()
			y += 22
		}
	}
	return l.legend(c, y+8)
}

func (l *layout) title(c *canvas) int {
	total := count(len(l.Meshes), "mesh") + ", " + count(l.total, "namespace")
	c.text(faceTitle, "", pageMargin, 42, total)
	if len(l.wrong) == 0 {
		c.icon("ok", pageMargin+faceTitle.width(total)+24, 36)
		c.text(faceText, "good", pageMargin+faceTitle.width(total)+38, 41, "nothing wrong")
	}
	return 54
}

// panel draws the list of what is wrong.
func (l *layout) panel(c *canvas, top int) int {
	const line, headRoom = 23, 40
	shown, more := some(l.wrong, l.limit)
	height := headRoom + line*len(shown) + 8
	if more > 0 {
		height += line
	}
	width := l.width - 2*pageMargin
	c.rect("panel", pageMargin, top, width, height, 8)
	c.rect("bar", pageMargin, top, 7, height, 3)
	c.icon("wrong", pageMargin+27, top+21)
	c.text(faceHeading, "bad", pageMargin+42, top+26, "Wrong: "+strings.Join(l.wrongCounts(), ", "))
	y := top + headRoom
	names := 0
	for _, f := range shown {
		names = min(max(names, faceStrong.width(f.label())), 260)
	}
	for _, f := range shown {
		l.panelLine(c, f, y, width, names)
		y += line
	}
	if more > 0 {
		c.text(faceText, "muted", pageMargin+42, y+14, "… "+strconv.Itoa(more)+" more")
	}
	c.WriteString("\n")
	return top + height
}

// label is the name of what is wrong, with its kind unless it is a namespace.
func (f fault) label() string {
	if f.kind == "namespace" {
		return clean(f.name)
	}
	return f.kind + " " + clean(f.name)
}

// panelLine draws a line of the list: a name, which has a column of its own, and a sentence.
func (l *layout) panelLine(c *canvas, f fault, y, width, nameWidth int) {
	name := f.label()
	attributes := ""
	if f.ns != nil {
		attributes = ` data-namespace="` + markup(f.name) + `"`
	}
	c.group("wrong", name+": "+l.sayFault(f, clean), attributes)
	icon := "wrong"
	if f.state == overlapping {
		icon = "overlap"
	}
	c.icon(icon, pageMargin+27, y+10)
	c.text(faceStrong, "", pageMargin+42, y+14, faceStrong.fit(name, nameWidth))
	left := pageMargin + 42 + nameWidth + 18
	c.text(faceText, "", left, y+14, faceText.fitEnd(l.sayFault(f, briefly), pageMargin+width-left-10))
	c.end()
}

// legend says what the signs mean, in as many lines as it needs.
func (l *layout) legend(c *canvas, top int) int {
	x, y := pageMargin, top+14
	for _, entry := range [][2]string{
		{"wrong", "wrong"}, {"overlap", "in several meshes"}, {"warn", "warning"}, {"in", "injected"}, {"out", "discovered, not injected"},
		{"none", "in no mesh"},
	} {
		width := 22 + faceSmall.width(entry[1]) + 16
		if x+width > l.width-pageMargin {
			x, y = pageMargin, y+20
		}
		c.icon(entry[0], x+7, y)
		c.text(faceSmall, "muted", x+20, y+4, entry[1])
		x += width
	}
	c.WriteString("\n")
	return y + 8
}
