package picture

import "strings"

// face is a way to set text: its size in pixels and what its letters look like.
type face struct {
	class string
	size  int
	mono  bool
	bold  bool
}

// The faces of the picture. Names are set in letters of one width, so that how much room they need is known.
var (
	faceTitle   = face{class: "t-title", size: 20, bold: true}
	faceHeading = face{class: "t-heading", size: 14, bold: true}
	faceText    = face{class: "t-text", size: 13}
	faceSmall   = face{class: "t-small", size: 11}
	faceMesh    = face{class: "t-mesh", size: 15, mono: true, bold: true}
	faceName    = face{class: "t-name", size: 12, mono: true}
	faceStrong  = face{class: "t-strong", size: 12, mono: true, bold: true}
	faceValue   = face{class: "t-value", size: 11, mono: true}
)

// Widths in thousandths of the size. A browser takes the font that it finds, so these are those of wide ones: of DejaVu Sans, the widest that is
// common, and for letters of one width 602, which DejaVu Sans Mono and Menlo need, with a little to spare.
const (
	monoWidth  = 610
	otherWidth = 1400 // of what is not ASCII: the picture then tells the browser how wide the text has to be
	boldMore   = 13   // percent
	ourSigns   = "…→·"
)

// sansWidths are the widths of DejaVu Sans by character; all others are wide ones.
var sansWidths = widthsOf(map[int]string{
	330:  " ,.'ijl|:;",
	460:  "()[]f-/\\rtI!`\"",
	620:  "abcdeghknopqsuvxyzJ$?_0123456789*{}",
	750:  "ABCEFKLPRSTUVXYZ&",
	880:  "DGHMNOQ#+<=>^~",
	1010: "mwW%@",
})

func widthsOf(classes map[int]string) map[rune]int {
	widths := map[rune]int{}
	for width, characters := range classes {
		for _, r := range characters {
			widths[r] = width
		}
	}
	return widths
}

// width is how many pixels a text needs at most.
func (f face) width(text string) int {
	sum := 0
	for _, r := range text {
		sum += f.advance(r)
	}
	return (sum*f.size + 999) / 1000
}

func (f face) advance(r rune) int {
	switch {
	case strings.ContainsRune(ourSigns, r):
		return 1000
	case r > '~':
		return otherWidth
	}
	if f.mono {
		return monoWidth
	}
	width, known := sansWidths[r]
	if !known {
		width = 1010
	}
	if f.bold {
		width += width * boldMore / 100
	}
	return width
}

// fit shortens a text to a width in pixels: the ellipsis stands where two thirds are over, because names often differ at their ends only.
func (f face) fit(text string, width int) string {
	if f.width(text) <= width {
		return text
	}
	runes := []rune(text)
	upTo := make([]int, len(runes)+1) // the widths of beginnings
	for i, r := range runes {
		upTo[i+1] = upTo[i] + f.advance(r)
	}
	room := width*1000/f.size - f.advance('…')
	for keep := len(runes) - 1; keep > 1; keep-- {
		head := (keep*2 + 2) / 3
		tail := len(runes) - keep + head
		if upTo[head]+upTo[len(runes)]-upTo[tail] <= room {
			return string(runes[:head]) + "…" + string(runes[tail:])
		}
	}
	return "…"
}

// fitEnd shortens a sentence at its end.
func (f face) fitEnd(text string, width int) string {
	if f.width(text) <= width {
		return text
	}
	runes := []rune(text)
	room, keep := width*1000-f.advance('…')*f.size, 0
	for keep < len(runes) {
		room -= f.advance(runes[keep]) * f.size
		if room < 0 {
			break
		}
		keep++
	}
	return strings.TrimRight(string(runes[:keep]), " ") + "…"
}

// measured reports whether all widths of a text are known.
func measured(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > '~' && !strings.ContainsRune(ourSigns, r) })
}

// briefly shortens a name inside a sentence.
func briefly(name string) string {
	runes := []rune(clean(name))
	if len(runes) <= 34 {
		return string(runes)
	}
	return string(runes[:22]) + "…" + string(runes[len(runes)-11:])
}
