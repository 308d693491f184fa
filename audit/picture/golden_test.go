package picture_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/audit/picture"
)

var update = flag.Bool("update", false, "write the files in testdata, and docs/map.svg, anew")

// draw draws a map, or fails the test.
func draw(t testing.TB, m *picture.Map, format picture.Format, options picture.Options) string {
	t.Helper()
	text, err := picture.Draw(m, format, options)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// compareFile compares a text with that of a file, or writes it there.
func compareFile(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what is drawn (-want +got), run go test ./audit/picture -update:\n%s", file, diff)
	}
}

// TestFormats compares every format of every map with a file in testdata.
func TestFormats(t *testing.T) {
	for name, m := range maps() {
		for _, format := range picture.Formats() {
			t.Run(name+"/"+string(format), func(t *testing.T) {
				compareFile(t, filepath.Join("testdata", name+"."+string(format)), draw(t, m, format, picture.Options{}))
			})
		}
		for _, format := range []picture.Format{picture.Tree, picture.Wide} {
			t.Run(name+"/"+string(format)+" in ASCII", func(t *testing.T) {
				compareFile(t, filepath.Join("testdata", name+".ascii-"+string(format)), draw(t, m, format, picture.Options{ASCII: true}))
			})
		}
	}
}

// TestThePictureInTheDocumentation compares docs/map.svg with what is drawn of the three meshes.
func TestThePictureInTheDocumentation(t *testing.T) {
	compareFile(t, "../../docs/map.svg", draw(t, three(), picture.SVG, picture.Options{}))
}
