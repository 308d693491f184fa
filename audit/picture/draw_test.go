package picture_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/audit/picture"
)

func TestParseFormatKnowsEveryFormatAndAsksForTheNearestOne(t *testing.T) {
	for _, format := range picture.Formats() {
		if got, err := picture.ParseFormat(string(format)); got != format || err != nil {
			t.Errorf("%q is read as %q, %v", format, got, err)
		}
	}
	names := strings.Join(formatNames(), ", ")
	for name, want := range map[string]string{
		"jsn":     `no format is called "jsn" (did you mean "json"?), there are ` + names,
		"ymal":    `no format is called "ymal" (did you mean "yaml"?), there are ` + names,
		"Mermiad": `no format is called "Mermiad" (did you mean "mermaid"?), there are ` + names,
		"":        `no format is called "", there are ` + names,
		"picture": `no format is called "picture", there are ` + names,
	} {
		if _, err := picture.ParseFormat(name); err == nil || err.Error() != want {
			t.Errorf("%q gives %v, want %s", name, err, want)
		}
	}
}

func formatNames() []string {
	var names []string
	for _, f := range picture.Formats() {
		names = append(names, string(f))
	}
	return names
}

func TestWhatCannotBeDrawnIsAnError(t *testing.T) {
	for _, c := range []struct {
		format  picture.Format
		options picture.Options
		want    string
	}{
		{picture.Tree, picture.Options{Meshes: []string{"mehs-1"}}, `no mesh is called "mehs-1" (did you mean "mesh-1"?)`},
		{picture.Tree, picture.Options{Meshes: []string{"mesh-1", "other"}}, `no mesh is called "other"`},
		{picture.Tree, picture.Options{MaxNamespaces: -1}, `-1 namespaces cannot be shown`},
		{"", picture.Options{}, `no format is called "", there are ` + strings.Join(formatNames(), ", ")},
	} {
		if text, err := picture.Draw(three(), c.format, c.options); err == nil || err.Error() != c.want || text != "" {
			t.Errorf("%q with %+v gives %q and %v, want %s", c.format, c.options, text, err, c.want)
		}
	}
}

func TestTheOrderInAMapPlaysNoPartAndTheMapIsNotWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, format := range picture.Formats() {
		want := draw(t, three(), format, picture.Options{MaxNamespaces: 2})
		for range 20 {
			m := three()
			shuffle(random, m)
			shuffled := clone(m)
			if got := draw(t, m, format, picture.Options{MaxNamespaces: 2}); got != want {
				t.Fatalf("another order gives another %s (-want +got):\n%s", format, cmp.Diff(want, got))
			}
			if diff := cmp.Diff(shuffled, m); diff != "" {
				t.Fatalf("%s has written to the map (-before +after):\n%s", format, diff)
			}
		}
	}
}

func shuffle(random *rand.Rand, m *picture.Map) {
	mix(random, m.Meshes)
	mix(random, m.Unassigned)
	for i := range m.Meshes {
		mix(random, m.Meshes[i].Namespaces)
		mix(random, m.Meshes[i].Revisions)
		mix(random, m.Meshes[i].Selectors)
		for j := range m.Meshes[i].Namespaces {
			mix(random, m.Meshes[i].Namespaces[j].Labels)
			mix(random, m.Meshes[i].Namespaces[j].DiscoveredBy)
		}
	}
}

func mix[T any](random *rand.Rand, list []T) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// clone copies a map deeply enough for what shuffle reorders.
func clone(m *picture.Map) *picture.Map {
	c := *m
	c.Meshes, c.Unassigned = slices.Clone(m.Meshes), slices.Clone(m.Unassigned)
	for i := range c.Meshes {
		mesh := &c.Meshes[i]
		mesh.Namespaces, mesh.Revisions, mesh.Selectors = slices.Clone(mesh.Namespaces), slices.Clone(mesh.Revisions), slices.Clone(mesh.Selectors)
		for j := range mesh.Namespaces {
			ns := &mesh.Namespaces[j]
			ns.Labels, ns.DiscoveredBy = slices.Clone(ns.Labels), slices.Clone(ns.DiscoveredBy)
		}
	}
	return &c
}

func TestALimitKeepsTheWrongOnesAndCountsTheRest(t *testing.T) {
	compareFile(t, "testdata/limit.tree", draw(t, many(2, 30), picture.Tree, picture.Options{MaxNamespaces: 2}))
	for _, format := range []picture.Format{picture.Tree, picture.Wide, picture.Mermaid, picture.Dot, picture.SVG} {
		if got := draw(t, many(2, 30), format, picture.Options{MaxNamespaces: 1}); !strings.Contains(got, "31 more, 1 of them wrong") {
			t.Errorf("%s does not tell of the wrong ones that it hides:\n%s", format, got)
		}
	}
	for _, format := range []picture.Format{picture.Wide, picture.Mermaid, picture.Dot} {
		if got := draw(t, many(2, 30), format, picture.Options{MaxNamespaces: 2}); !strings.Contains(got, "30 more") ||
			strings.Contains(got, "team-2-service-15") {
			t.Errorf("%s does not count the rest, or shows it:\n%s", format, got)
		}
	}
}

func TestFormatsForProgramsHaveNoLimit(t *testing.T) {
	for _, format := range []picture.Format{picture.JSON, picture.YAML} {
		if diff := cmp.Diff(draw(t, three(), format, picture.Options{}), draw(t, three(), format, picture.Options{MaxNamespaces: 1})); diff != "" {
			t.Errorf("%s is limited (-all +limited):\n%s", format, diff)
		}
	}
}

func TestAChosenMeshIsShownWithWhatItInjectsElsewhere(t *testing.T) {
	compareFile(t, "testdata/chosen.tree", draw(t, three(), picture.Tree, picture.Options{Meshes: []string{"mesh-1"}}))
}

func TestATerminalGetsNoControlCharacters(t *testing.T) {
	for _, format := range picture.Formats() {
		for _, r := range draw(t, nasty(), format, picture.Options{}) {
			if unicode.IsControl(r) && r != '\n' {
				t.Errorf("%s has the control character %U", format, r)
			}
		}
	}
}

func TestASCIIIsNothingElse(t *testing.T) {
	for _, format := range []picture.Format{picture.Tree, picture.Wide} {
		for _, r := range draw(t, nasty(), format, picture.Options{ASCII: true}) {
			if r > unicode.MaxASCII {
				t.Errorf("%s has %U", format, r)
			}
		}
	}
}
