package picture

import "strings"

// palette are colours by their use. Text on its background has a contrast of 4.5 to 1 or more in both.
type palette struct {
	page, card, head, row, line, text, muted, bad, badBack, warn, warnBack, good, cut string
}

var (
	light = palette{page: "#ffffff", card: "#ffffff", head: "#eef2f7", row: "#f6f8fa", line: "#c9d1d9", text: "#1f2328", muted: "#57606a",
		bad: "#c41d2b", badBack: "#fff0ee", warn: "#8a5c00", warnBack: "#fff8db", good: "#1a7f37", cut: "#ffffff"}
	dark = palette{page: "#0d1117", card: "#131922", head: "#1f2937", row: "#1a222d", line: "#3d4653", text: "#e6edf3", muted: "#9aa5b1",
		bad: "#ff7b72", badBack: "#34181b", warn: "#e3b341", warnBack: "#2b2411", good: "#4ac26b", cut: "#0d1117"}
)

// sans and mono are the fonts: those of the system, because a picture loads nothing.
const (
	sans = `system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Liberation Sans",sans-serif`
	mono = `ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace`
)

// css is the style of the picture. Colours stand in it twice, for light and for dark, and not in variables, which not all programs that draw SVG
// know.
func css() string {
	var b strings.Builder
	b.WriteString("text{font-family:" + sans + ";white-space:pre}\n" +
		".t-mesh,.t-name,.t-strong,.t-value{font-family:" + mono + "}\n" +
		".t-title{font-size:20px;font-weight:600}.t-heading{font-size:14px;font-weight:600}.t-text{font-size:13px}.t-small{font-size:11px}\n" +
		".t-mesh{font-size:15px;font-weight:600}.t-name{font-size:12px}.t-strong{font-size:12px;font-weight:600}.t-value{font-size:11px}\n" +
		".i-cut{fill:none;stroke-width:1.8;stroke-linecap:round}.i-ring{fill:none;stroke-width:1.9}.i-idle{fill:none;stroke-width:1.4}\n" +
		".card,.row{stroke-width:1}.row-bad{stroke-width:2}.row-both{stroke-width:2;stroke-dasharray:6 3}.row-warn{stroke-width:1.5}\n" +
		".edge{fill:none;stroke-width:3}.join{fill:none;stroke-width:2.5;stroke-dasharray:7 4}.halo{fill:none;stroke-width:7}\n" +
		".gone{font-style:italic}.dim{opacity:.15}\n")
	b.WriteString(colours(&light))
	b.WriteString("@media (prefers-color-scheme:dark){\n" + colours(&dark) + "}\n")
	return b.String()
}

func colours(p *palette) string {
	return "text{fill:" + p.text + "}.muted{fill:" + p.muted + "}.bad{fill:" + p.bad + "}.warned{fill:" + p.warn + "}.good{fill:" + p.good + "}\n" +
		".page{fill:" + p.page + "}.card{fill:" + p.card + ";stroke:" + p.line + "}.head{fill:" + p.head + "}.rule{stroke:" + p.line + "}\n" +
		".row{fill:" + p.row + ";stroke:" + p.row + "}.row-bad,.row-both{fill:" + p.badBack + ";stroke:" + p.bad + "}.row-warn{fill:" +
		p.warnBack + ";stroke:" + p.warn + "}\n" +
		".panel{fill:" + p.badBack + ";stroke:" + p.bad + "}.bar,.i-bad,.tip{fill:" + p.bad + "}.i-warn{fill:" + p.warn + "}.i-good{fill:" + p.good +
		"}.pill{fill:" + p.card + ";stroke:" + p.line + "}\n" +
		".i-cut{stroke:" + p.cut + "}.i-ring,.edge,.join{stroke:" + p.bad + "}.i-idle{stroke:" + p.muted + "}.halo{stroke:" + p.page + "}\n"
}
