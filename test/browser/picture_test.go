package browser

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/audit/picture"
)

//go:embed measure.js
var measure string

// shots is where the screenshots are left to be looked at.
const shots = "../../bin/pictures"

// measured is what measure.js returns.
type measured struct {
	Problems                                        []string
	Texts, Cards, Rows, Edges, Joins, Width, Height int
	Page                                            struct{ Width, Window int }
}

// drawn draws a map into a file and returns its path.
func drawn(t *testing.T, m *picture.Map, format picture.Format) string {
	t.Helper()
	text, err := picture.Draw(m, format, picture.Options{MaxNamespaces: 10})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "map."+string(format))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// keep leaves a screenshot, and checks that its upper left corner is light or dark.
func keep(t *testing.T, name, scheme string, shot []byte) {
	t.Helper()
	image, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	if red, _, _, _ := image.At(2, 2).RGBA(); (red > 0x8000) != (scheme == "light") {
		t.Errorf("in %s the page has %v in its corner", scheme, image.At(2, 2))
	}
	if err := os.MkdirAll(shots, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(shots, name+"-"+scheme+".png"), shot, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestNothingOverlapsOrIsCut looks at pictures and pages of few and many meshes, in light and dark.
func TestNothingOverlapsOrIsCut(t *testing.T) {
	c := start(t)
	maps := map[string]*picture.Map{"empty": {}, "guide": stored(t, "three"), "nasty": stored(t, "nasty")}
	for _, n := range []int{1, 3, 10, 100} {
		maps[fmt.Sprintf("meshes-%d", n)] = meshes(n, 12)
	}
	for name, m := range maps {
		for _, format := range []picture.Format{picture.SVG, picture.HTML} {
			file := drawn(t, m, format)
			for _, scheme := range []string{"light", "dark"} {
				t.Run(name+" "+string(format)+" "+scheme, func(t *testing.T) {
					c.t = t
					c.open(file, scheme, 1366)
					var got measured
					c.evaluate(measure, &got)
					for _, problem := range append(got.Problems, c.complaints(file)...) {
						t.Error(problem)
					}
					if least := len(m.Meshes); got.Cards < least || got.Rows < least || got.Texts < 2*least {
						t.Errorf("it shows too little: %+v", got)
					}
					if format == picture.HTML && got.Page.Width > got.Page.Window {
						t.Errorf("the page is %d pixels wide in a window of %d", got.Page.Width, got.Page.Window)
					}
					width, height := got.Width, got.Height
					if format == picture.HTML {
						width, height = 1366, 1500
					}
					keep(t, name+"-"+string(format), scheme, c.screenshot(width, height))
				})
				c.t = t
			}
		}
	}
}

// TestWhatIsWrongIsSeen counts the edges of the guide's three meshes: two namespaces that another mesh injects, and one that two discover.
func TestWhatIsWrongIsSeen(t *testing.T) {
	c := start(t)
	c.open(drawn(t, stored(t, "three"), picture.SVG), "light", 1366)
	var got measured
	c.evaluate(measure, &got)
	if got.Edges != 2 || got.Joins != 1 || got.Cards != 5 || got.Rows != 14 {
		t.Errorf("it shows %+v", got)
	}
	var first string
	c.evaluate(`document.querySelector("g.wrong").textContent`, &first)
	if want := "app-ns-2: discovered by mesh-2, injected by mesh-1" + "app-ns-2" + "discovered by mesh-2, injected by mesh-1"; first != want {
		t.Errorf("the first entry of the list is %q, want %q", first, want)
	}
}

// visible are the names of the rows that a page shows.
const visible = `[...document.querySelectorAll("#namespaces tbody tr")].filter(row => row.checkVisibility()).map(row => row.dataset.namespace)`

// faded are the names in the picture that have stepped back.
const faded = `[...new Set([...document.querySelectorAll(".picture .dim")].filter(e => getComputedStyle(e).opacity < .5).map(e => e.dataset.namespace))].sort()`

func TestTheFilter(t *testing.T) {
	c := start(t)
	file := drawn(t, stored(t, "three"), picture.HTML)
	c.open(file, "light", 1366)
	wrong := []string{"app-ns-2", "shared", "stray", "typo"}
	all := append(slices.Clone(wrong), "member", "app-ns-1", "app-ns-3", "default", "istio-system-1", "istio-system-2", "istio-system-3", "kube-system",
		"leaving")
	for _, step := range []struct {
		name, words string
		only        bool
		want        []string
		found       string
	}{
		{"nothing is asked for", "", false, all, ""},
		{"a part of a name", "ns-2", false, []string{"app-ns-2"}, "1 of 13 namespaces"},
		{"a mesh and a rule, in capitals", "MESH-2 mf20", false, []string{"app-ns-2", "shared", "member", "stray"}, "4 of 13 namespaces"},
		{"what is wrong", "", true, wrong, "4 of 13 namespaces"},
		{"what is wrong with a word", "mf203", true, []string{"typo"}, "1 of 13 namespaces"},
		{"what is not there", "nothing-of-this-name", false, nil, "0 of 13 namespaces"},
		{"nothing again", "", false, all, ""},
	} {
		t.Run(step.name, func(t *testing.T) {
			words, err := json.Marshal(step.words)
			if err != nil {
				t.Fatal(err)
			}
			var found string
			c.evaluate(fmt.Sprintf(`(() => {
				const filter = document.getElementById("filter"), only = document.getElementById("only");
				filter.value = %s; filter.dispatchEvent(new Event("input"));
				if (only.checked !== %t) only.click();
				return document.getElementById("found").value;
			})()`, words, step.only), &found)
			if found != step.found {
				t.Errorf("it says %q, want %q", found, step.found)
			}
			var got, gone []string
			c.evaluate(visible, &got)
			if diff := cmp.Diff(sorted(step.want), sorted(got)); diff != "" {
				t.Errorf("not these rows are left (-want +got):\n%s", diff)
			}
			c.evaluate(faded, &gone)
			var want []string
			for _, name := range all {
				if !slices.Contains(step.want, name) {
					want = append(want, name)
				}
			}
			if diff := cmp.Diff(sorted(want), sorted(gone)); diff != "" {
				t.Errorf("not these step back in the picture (-want +got):\n%s", diff)
			}
		})
	}
	for _, complaint := range c.complaints(file) {
		t.Error(complaint)
	}
}

// TestAPageFitsANarrowWindow looks at pages where the picture and the tables are wider than the window: they are scrolled, and the page is not.
func TestAPageFitsANarrowWindow(t *testing.T) {
	c := start(t)
	for name, m := range map[string]*picture.Map{"empty": {}, "guide": stored(t, "three"), "nasty": stored(t, "nasty")} {
		c.open(drawn(t, m, picture.HTML), "light", 400)
		var got measured
		c.evaluate(measure, &got)
		if got.Page.Width > got.Page.Window || len(got.Problems) > 0 {
			t.Errorf("%s is %d pixels wide in a window of %d, and has %q", name, got.Page.Width, got.Page.Window, got.Problems)
		}
		keep(t, name+"-narrow", "light", c.screenshot(400, 1500))
	}
}

func sorted(names []string) []string {
	return append([]string{}, slices.Sorted(slices.Values(names))...)
}

// TestNamesAreText gives a page names that would be elements, attributes or scripts, were they not escaped.
func TestNamesAreText(t *testing.T) {
	names := []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(2)>`, `'onmouseover='alert(3)`, `</title></svg><script>`,
		`<!--`, `&lt;b&gt;`, `javascript:alert(5)`}
	m := &picture.Map{}
	for _, name := range names {
		m.Meshes = append(m.Meshes, picture.Mesh{Name: name, Kind: name, ControlPlane: name, Selectors: []string{name}, Namespaces: []picture.Namespace{{
			Name: name, Labels: []string{name}, DiscoveredBy: []string{name}, InjectedBy: name, InjectedMesh: names[0],
			Findings: []picture.Finding{{Code: name, Name: name, Action: "deny", Detail: name}}}}})
	}
	c := start(t)
	file := drawn(t, m, picture.HTML)
	c.open(file, "light", 1366)
	for _, complaint := range c.complaints(file) {
		t.Error(complaint)
	}
	for _, expression := range []string{
		`[...document.querySelectorAll("#namespaces tbody th")].map(e => e.textContent)`,
		`[...document.querySelectorAll("#namespaces tbody tr")].map(e => e.dataset.namespace)`,
		`[...document.querySelectorAll("#namespaces td.labels")].map(e => e.textContent)`,
		`[...document.querySelectorAll("#meshes tbody th")].map(e => e.textContent)`,
		`[...document.querySelectorAll(".picture g.namespace")].map(e => e.dataset.namespace)`,
		`[...document.querySelectorAll(".picture g.namespace > text.t-name, .picture g.namespace > text.t-strong")].map(e => e.textContent)`,
	} {
		var got []string
		c.evaluate(expression, &got)
		if diff := cmp.Diff(sorted(names), sorted(got)); diff != "" {
			t.Errorf("%s is not the names (-want +got):\n%s", expression, diff)
		}
	}
	var foreign int
	c.evaluate(`document.querySelectorAll("img, script:not(body > script), iframe, a, [onerror], [onmouseover], [style]").length`, &foreign)
	if foreign != 0 {
		t.Errorf("%d elements that the page does not have came with names", foreign)
	}
}

// TestThePolicyLetsNothingIn shows that the content security policy of a page holds: what is put into it afterwards does not run, and is told of.
func TestThePolicyLetsNothingIn(t *testing.T) {
	c := start(t)
	file := drawn(t, stored(t, "three"), picture.HTML)
	c.open(file, "light", 1366)
	var ran bool
	c.evaluate(`(() => {
		const script = document.createElement("script"), image = document.createElement("img"), style = document.createElement("style");
		script.textContent = "window.ran = true";
		image.src = "file:///nothing.png";
		style.textContent = "body { margin: 99px }";
		document.body.append(script, image, style);
		return !!window.ran || getComputedStyle(document.body).marginLeft === "99px";
	})()`, &ran)
	if ran {
		t.Error("a script or a style of another text ran")
	}
	if got := c.complaints(file); len(got) < 3 {
		t.Errorf("the browser refused only %q", got)
	}
}
