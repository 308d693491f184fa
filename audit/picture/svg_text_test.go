package picture

import (
	"strings"
	"testing"
)

func TestALongNameKeepsItsBothEnds(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"short", 100, "short"},
		{"team-payments-production-eu-west-1", 150, "team-payment…west-1"},
		{"team-payments-production-eu-west-2", 150, "team-payment…west-2"},
		{"ab", 10, "…"},
		{"", 10, ""},
	} {
		got := faceName.fit(c.text, c.width)
		if got != c.want {
			t.Errorf("%q in %d pixels is %q, want %q", c.text, c.width, got, c.want)
		}
		if width := faceName.width(got); width > c.width && got != "…" {
			t.Errorf("%q is %d pixels wide, more than %d", got, width, c.width)
		}
	}
}

func TestASentenceIsShortenedAtItsEnd(t *testing.T) {
	text := strings.Repeat("discovered by mesh-1 ", 10)
	got := faceText.fitEnd(text, 200)
	if !strings.HasPrefix(got, "discovered by mesh-1 ") || !strings.HasSuffix(got, "…") || faceText.width(got) > 200 {
		t.Errorf("%q, %d pixels", got, faceText.width(got))
	}
}

func TestNamesAreInTheOrderOfTheirNumbers(t *testing.T) {
	inOrder := []string{"", "01", "1", "2", "10", "a", "a1", "a1b", "a2", "a10", "a10b1", "a10b2", "b"}
	for i, a := range inOrder {
		for j, b := range inOrder {
			if got := natural(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("natural(%q, %q) = %d", a, b, got)
			}
		}
	}
}

func TestMeshesStandInColumns(t *testing.T) {
	for _, c := range []struct{ meshes, columns, bands int }{{0, 0, 0}, {1, 1, 1}, {3, 3, 1}, {4, 2, 2}, {10, 3, 4}, {13, 4, 4}, {100, 5, 20}} {
		if columns, bands := grid(c.meshes); columns != c.columns || bands != c.bands {
			t.Errorf("%d meshes stand in %d columns and %d bands, want %d and %d", c.meshes, columns, bands, c.columns, c.bands)
		}
	}
}
