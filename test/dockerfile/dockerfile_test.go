// Package dockerfile builds the Dockerfile with buildah, which needs neither a daemon nor a container engine, and compares the result with what `make build` makes.
// It is part of `make stress`: buildah is a package of Debian and others (apt-get install buildah).
package dockerfile

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/deploy/build"
	"github.com/meshfence/meshfence/test/harness"
)

// stamps are what the Dockerfile is told of the version.
const (
	version, commit, date = "v1.2.3", "0123456789ab", "2026-01-02T03:04:05Z"
	ldflags               = "-s -w -X main.version=" + version + " -X main.commit=" + commit + " -X main.date=" + date
)

// builder runs buildah with a storage of its own.
type builder struct {
	t   *testing.T
	dir string
}

func (b *builder) buildah(args ...string) string {
	b.t.Helper()
	all := append([]string{"--storage-driver", "vfs", "--root", filepath.Join(b.dir, "root"), "--runroot", filepath.Join(b.dir, "run")}, args...)
	cmd := exec.CommandContext(context.WithoutCancel(b.t.Context()), "buildah", all...) // also when the test has ended
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("buildah %s: %v (it is a package: apt-get install buildah)\n%s%s", strings.Join(args, " "), err, out, complaint.String())
	}
	return strings.TrimSpace(string(out))
}

// goEnv asks the machine's Go.
func (b *builder) goEnv(name string) string {
	b.t.Helper()
	out, err := exec.CommandContext(b.t.Context(), "go", "env", name).Output()
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// toolchain makes the image that stands for the Dockerfile's first base: a shell, with the libraries that it is linked with. The machine's own
// Go, its cache and its modules are mounted into the build, so that nothing is downloaded.
func (b *builder) toolchain() string {
	b.t.Helper()
	shell := b.buildah("from", "scratch")
	files := []string{"/bin/sh"}
	linked, err := exec.CommandContext(b.t.Context(), "ldd", "/bin/sh").Output()
	if err != nil {
		b.t.Fatal(err)
	}
	files = append(files, regexp.MustCompile(`/[^ )]+`).FindAllString(string(linked), -1)...)
	for _, file := range files {
		content, err := filepath.EvalSymlinks(file)
		if err != nil {
			b.t.Fatal(err)
		}
		b.buildah("copy", shell, content, file)
	}
	b.buildah("copy", shell, b.t.TempDir(), "/tmp")
	env := map[string]string{"PATH": "/usr/local/go/bin", "GOMODCACHE": "/modules", "GOPROXY": "off", "GOSUMDB": "off", "GOTOOLCHAIN": "local", "GOCACHE": "/cache", "GOFLAGS": "-mod=mod"}
	args := []string{"config"}
	for key, value := range env {
		args = append(args, "--env", key+"="+value)
	}
	b.buildah(append(args, shell)...)
	b.buildah("commit", shell, "localhost/toolchain")
	return "localhost/toolchain"
}

func TestTheDockerfileIsBuilt(t *testing.T) {
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	// Not below t.TempDir: what is mounted there is unmounted first.
	dir, err := os.MkdirTemp("", "meshfence-dockerfile-")
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{t, dir}
	// The Dockerfile downloads all modules; here they are there before.
	download := exec.CommandContext(t.Context(), "go", "mod", "download")
	download.Dir = root
	if out, err := download.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	b.buildah("build", "--isolation", "chroot", "--platform", runtime.GOOS+"/"+runtime.GOARCH, "--from", b.toolchain(),
		"--volume", b.goEnv("GOCACHE")+":/cache", "--volume", b.goEnv("GOROOT")+":/usr/local/go:ro", "--volume", b.goEnv("GOMODCACHE")+":/modules:ro",
		"--build-arg", "VERSION="+version, "--build-arg", "COMMIT="+commit, "--build-arg", "DATE="+date, "--tag", "localhost/meshfence", root)
	container := b.buildah("from", "localhost/meshfence")
	mounted := b.buildah("mount", container)
	t.Cleanup(func() { b.buildah("umount", container) })

	own := filepath.Join(dir, "meshfence")
	if err := (build.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}).Binary(root, own, ldflags); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content(t, own), content(t, filepath.Join(mounted, "meshfence"))) {
		t.Error("the image has another binary than make build makes")
	}
	entries, err := os.ReadDir(mounted)
	if err != nil {
		t.Fatal(err)
	}
	// Empty folders are the builder's, for what an engine mounts there.
	entries = slices.DeleteFunc(entries, os.DirEntry.IsDir)
	if len(entries) != 1 {
		t.Errorf("the image has %v", entries)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(mounted, "meshfence"), "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), version) || !strings.Contains(string(out), commit) {
		t.Errorf("%v %s", err, out)
	}
	var image struct {
		OCIv1 struct{ Config map[string]any }
	}
	if err := json.Unmarshal([]byte(b.buildah("inspect", "--type", "image", "localhost/meshfence")), &image); err != nil {
		t.Fatal(err)
	}
	got := map[string]any{"User": image.OCIv1.Config["User"], "Entrypoint": image.OCIv1.Config["Entrypoint"], "Cmd": image.OCIv1.Config["Cmd"]}
	if diff := cmp.Diff(map[string]any{"User": "65532:65532", "Entrypoint": []any{"/meshfence"}, "Cmd": []any{"serve"}}, got); diff != "" {
		t.Errorf("the image's configuration (-want +got):\n%s", diff)
	}
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
