package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPlatformsAreChosenByName(t *testing.T) {
	all := []Platform{{"linux", "amd64"}, {"linux", "arm64"}, {"windows", "amd64"}}
	if got, err := Choose("", all); err != nil || !slices.Equal(got, all) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := Choose("linux/arm64,windows/amd64", all); err != nil || !slices.Equal(got, all[1:]) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Choose("plan9/amd64", all); err == nil || !strings.Contains(err.Error(), "linux/amd64") {
		t.Errorf("%v", err)
	}
}

// A machine's own settings do not decide about the bytes, and those of where modules come from still count.
func TestTheEnvironmentIsPinned(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("GOAMD64=v3\nGOFLAGS=-tags=hostile\nGOSUMDB=sum.example.com\nGOPROXY=https://file.example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"GOENV": file, "GOARM64": "v9.0", "GOWORK": "/nowhere/go.work", "GOEXPERIMENT": "nogreenteagc", "GOPROXY": "https://proxy.example.com", "GOFIPS140": "latest",
	} {
		t.Setenv(name, value)
	}
	env, err := environment(".")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, setting := range env { // the last one counts
		name, value, _ := strings.Cut(setting, "=")
		got[name] = value
	}
	want := []string{"GOSUMDB=sum.example.com", "GOPROXY=https://proxy.example.com", "GOMODCACHE=" + os.Getenv("GOMODCACHE")}
	if os.Getenv("GOMODCACHE") == "" {
		want = want[:2]
	}
	for _, setting := range append(want, pinned()...) {
		name, value, _ := strings.Cut(setting, "=")
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
}

// What make build sets is what this package sets.
func TestMakeBuildSetsTheSame(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-n", "build")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "for name in " + strings.Join(passed(), " ") + ";"; !strings.Contains(string(out), want) {
		t.Errorf("make build lacks %q:\n%s", want, out)
	}
	if want := " " + strings.Join(pinned(), " ") + " go build -buildvcs=false -trimpath "; !strings.Contains(string(out), want) {
		t.Errorf("make build lacks %q:\n%s", want, out)
	}
}
