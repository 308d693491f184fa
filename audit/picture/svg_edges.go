package picture

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// pair is two cards with edges between them. Edges of one pair and one kind share their lanes, and so become one thick line.
type pair struct {
	from, to *card
	overlap  bool
}

// lanes are the parallel places in a gutter.
type lanes struct {
	users []laneUser
	known map[pair]bool
	of    map[pair]int // the lane that a pair has
	count int
}

// laneUser is a pair that needs a lane, from one band (or, in a gutter above a band, column) to another, and the side of the gutter on which its
// edges touch cards.
type laneUser struct {
	pair
	side     side
	from, to int
}

// side is one of a gutter. Lanes lie on the side of the cards that they touch, so that no edge runs along another one on its way there.
type side int

const (
	left      side = iota
	rightward      // from the card at the left to that at the right
	leftward
	right
)

func (l *lanes) take(p pair, s side, from, to int) {
	if l.known == nil {
		l.known = map[pair]bool{}
	}
	if !l.known[p] {
		l.known[p] = true
		l.users = append(l.users, laneUser{pair: p, side: s, from: min(from, to), to: max(from, to)})
	}
}

// number gives each pair the first lane of its side that is free all the way.
func (l *lanes) number() {
	slices.SortStableFunc(l.users, func(a, b laneUser) int { return cmp.Compare(a.side, b.side) })
	l.of = map[pair]int{}
	var taken [][]laneUser // by lane
	first := 0             // lane of the side
	for i, user := range l.users {
		if i > 0 && user.side != l.users[i-1].side {
			first = len(taken)
		}
		lane := first
		for lane < len(taken) && slices.ContainsFunc(taken[lane], user.meets) {
			lane++
		}
		if lane == len(taken) {
			taken = append(taken, nil)
		}
		taken[lane] = append(taken[lane], user)
		l.of[user.pair] = lane % mostLanes
	}
	l.count = min(len(taken), mostLanes)
}

// meets reports whether two users cannot have one lane.
func (u laneUser) meets(other laneUser) bool { return u.from <= other.to && other.from <= u.to }

// size is how wide a gutter is: as wide as its lanes need, and not narrower than least.
func (l *lanes) size(least int) int {
	if l.count == 0 {
		return least
	}
	return max(least, 2*lanePadding+(l.count-1)*laneStep)
}

// wire is an edge: from the row of a namespace to the head of the card of the mesh that injects it, or to its row in another card.
type wire struct {
	pair
	row   string
	title string
	out   int // the gutter where it leaves
	in    int // the gutter where it arrives
	entry int // its place at the head
}

// wire makes the edges and gives them their lanes.
func (l *layout) wire() {
	l.down, l.across = make([]lanes, l.columns+2), make([]lanes, max(l.bands, 1))
	meshes, first := map[string]*card{}, map[string]*card{}
	for _, k := range l.cards {
		meshes[k.mesh] = k
	}
	entries := map[pair]int{}
	connect := func(k *card, list []Namespace) {
		shown, _ := some(list, l.limit)
		for i := range shown {
			ns := &shown[i]
			s, target := l.stateOf(ns), meshes[ns.InjectedMesh]
			if target != nil && target != k && (s == wrongMesh || s == undiscovered) {
				l.connect(entries, pair{from: k, to: target}, ns)
			}
			if other := first[ns.Name]; other != nil && other != k && s != terminating {
				l.connect(entries, pair{from: other, to: k, overlap: true}, ns)
			}
			first[ns.Name] = k
		}
	}
	for i, k := range l.cards {
		connect(k, l.Meshes[i].Namespaces)
	}
	for _, k := range l.side {
		if k.rows != nil {
			connect(k, l.Unassigned)
		}
	}
	for i := range l.down {
		l.down[i].number()
	}
	for i := range l.across {
		l.across[i].number()
	}
}

// connect adds an edge and takes its lanes: it leaves towards its target and arrives from where it comes.
func (l *layout) connect(entries map[pair]int, p pair, ns *Namespace) {
	w := &wire{pair: p, row: ns.Name, title: clean(ns.Name) + ": " + l.say(ns, clean)}
	from, to := p.from.column, p.to.column
	out, in := left, right // the sides of the gutters where the cards stand
	first, last := p.from.band, p.to.band
	if slices.Contains(l.side, p.from) {
		first, last = 0, l.bands // it stands beside all of them
	}
	switch {
	case to > from:
		w.out, w.in = from+1, to
	case to < from:
		w.out, w.in = from, to+1
		out, in = right, left
	default:
		w.out, w.in, in = from+1, from+1, left
	}
	if w.in == w.out {
		if to > from {
			out = rightward
		} else if to < from {
			out = leftward
		}
		l.down[w.out].take(p, out, first, last)
	} else {
		l.down[w.out].take(p, out, first, last)
		l.down[w.in].take(p, in, p.to.band, p.to.band)
		l.across[p.to.band].take(p, left, from, to)
	}
	if _, has := entries[p]; !has && !p.overlap {
		entries[p] = p.to.entries % p.to.limit
		p.to.entries++
	}
	w.entry = entries[p]
	l.wires = append(l.wires, w)
}

// point is a place in the picture.
type point struct{ x, y int }

// route is the way of an edge, corner by corner.
func (l *layout) route(w *wire) []point {
	from, to := w.from, w.to
	start := point{from.x + rowInset, from.y + from.rows[w.row]}
	if w.out > from.column {
		start.x = from.x + from.width - rowInset
	}
	end := point{to.x, to.y + 20 + w.entry*laneStep}
	if w.in > to.column {
		end.x += to.width
		end.y += laneStep / 2 // so that no other edge comes from the other side at that height
	}
	if w.overlap {
		end.y = to.y + to.rows[w.row]
		end.x += rowInset
		if w.in > to.column {
			end.x -= 2 * rowInset
		}
	}
	out := l.lane(w.out, w.pair)
	if w.in == w.out {
		return []point{start, {out, start.y}, {out, end.y}, end}
	}
	in := l.lane(w.in, w.pair)
	y := l.bandTop(to.band) - lanePadding - l.across[to.band].of[w.pair]*laneStep
	return []point{start, {out, start.y}, {out, y}, {in, y}, {in, end.y}, end}
}

// lane is the x of a pair's lane in a gutter.
func (l *layout) lane(gutter int, p pair) int {
	offset := lanePadding + l.down[gutter].of[p]*laneStep
	for _, k := range append(l.cards[:len(l.cards):len(l.cards)], l.side...) {
		if k.column == gutter-1 {
			return k.x + k.width + offset
		}
	}
	// The left margin, whose lanes are counted from the first column to the left.
	return l.cards[0].x - offset
}

func (l *layout) bandTop(band int) int {
	for _, k := range l.cards {
		if k.band == band {
			return k.y
		}
	}
	return 0
}

// drawWires draws the edges: those between rows dashed, those to a mesh with a tip.
func (l *layout) drawWires(c *canvas) {
	for _, w := range l.wires {
		points := l.route(w)
		path, class := rounded(points), "edge"
		if w.overlap {
			class = "join"
		}
		c.group("wire", w.title, ` data-namespace="`+markup(w.row)+`"`)
		c.printf("<path class=\"halo\" d=\"%s\"/><path class=\"%s\" d=\"%s\"/>", path, class, path)
		if !w.overlap {
			end, toward := points[len(points)-1], -1
			if points[len(points)-2].x > end.x {
				toward = 1
			}
			c.printf("<path class=\"tip\" d=\"M%d %dl%d -6v12z\"/>", end.x, end.y, toward*11)
		}
		c.end()
	}
}

// rounded is a path along points with round corners.
func rounded(points []point) string {
	var b strings.Builder
	fmt.Fprintf(&b, "M%d %d", points[0].x, points[0].y)
	for i := 1; i < len(points)-1; i++ {
		before, corner, after := points[i-1], points[i], points[i+1]
		radius := min(6, (distance(before, corner))/2, (distance(corner, after))/2)
		a, z := toward(corner, before, radius), toward(corner, after, radius)
		fmt.Fprintf(&b, "L%d %dQ%d %d %d %d", a.x, a.y, corner.x, corner.y, z.x, z.y)
	}
	last := points[len(points)-1]
	fmt.Fprintf(&b, "L%d %d", last.x, last.y)
	return b.String()
}

// distance is that of two points on one horizontal or vertical line.
func distance(a, b point) int { return max(a.x-b.x, b.x-a.x) + max(a.y-b.y, b.y-a.y) }

// toward is the point that many pixels from one on the way to another, on one horizontal or vertical line.
func toward(from, to point, pixels int) point {
	switch {
	case to.x > from.x:
		return point{from.x + pixels, from.y}
	case to.x < from.x:
		return point{from.x - pixels, from.y}
	case to.y > from.y:
		return point{from.x, from.y + pixels}
	}
	return point{from.x, from.y - pixels}
}
