package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	spdxjson "github.com/spdx/tools-golang/json"

	"github.com/meshfence/meshfence/deploy/build"
)

// clone is the folder of the repository.
const clone = "../.."

var made = release{version: "v1.2.3", commit: strings.Repeat("0123456789", 4), ldflags: "-s -w -X main.version=v1.2.3", date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}

// some are the platforms of these tests: two, because to build one where nothing has been built for it yet takes minutes. `make stress` builds all.
func some() []build.Platform {
	if os.Getenv("STRESS") == "long" {
		return platforms()
	}
	return platforms()[:2]
}

// built makes the layout once for all tests.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "meshfence-image-")
	if err != nil {
		return "", err
	}
	_, err = made.layout(clone, filepath.Join(dir, "image"), some())
	return dir, err
})

func TestMain(m *testing.M) {
	status := m.Run()
	if dir, err := built(); err == nil {
		if err := os.RemoveAll(dir); err != nil {
			status = 1
		}
	}
	os.Exit(status)
}

// image returns the layout's folder, its index, and the index of the image.
func image(t *testing.T) (path string, all, index v1.ImageIndex) {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "image")
	l, err := layout.FromPath(path)
	if err != nil {
		t.Fatal(err)
	}
	if all, err = l.ImageIndex(); err != nil {
		t.Fatal(err)
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if index, err = all.ImageIndex(manifest.Manifests[0].Digest); err != nil {
		t.Fatal(err)
	}
	return path, all, index
}

// of returns the image of a platform.
func of(t *testing.T, index v1.ImageIndex, arch string) v1.Image {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range manifest.Manifests {
		if d.Platform.Architecture == arch {
			found, err := index.Image(d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
	}
	t.Fatalf("no image for %s in %v", arch, manifest.Manifests)
	return nil
}

func TestTheLayoutIsValidAndHasThePlatforms(t *testing.T) {
	_, all, index := image(t)
	if err := validate.Index(all); err != nil {
		t.Error(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range manifest.Manifests {
		got = append(got, d.Platform.String())
		config, err := of(t, index, d.Platform.Architecture).ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Platform().String() != d.Platform.String() || config.Config.Labels["org.opencontainers.image.revision"] != made.commit {
			t.Errorf("the index says %s, the image %s with %v", d.Platform, config.Platform(), config.Config.Labels)
		}
	}
	if want := []string{"linux/amd64", "linux/arm64", "linux/ppc64le", "linux/s390x"}[:len(some())]; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Built in another folder, of a copy of the source, by a machine with other settings of Go, it has the same digest: of each thing in the layout, attached ones too.
func TestTwoBuildsAreTheSame(t *testing.T) {
	path, _, _ := image(t)
	settings := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(settings, []byte("GOAMD64=v3\nGOFLAGS=-tags=hostile\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"GOENV": settings, "GOWORK": filepath.Join(t.TempDir(), "go.work"), "GOFLAGS": "-gcflags=all=-N", "GOAMD64": "v3", "GOARM64": "v9.0", "GOPPC64": "power10", "GOEXPERIMENT": "nogreenteagc",
		"GOFIPS140": "latest", "CGO_ENABLED": "1",
	} {
		t.Setenv(name, value)
	}
	copied := t.TempDir()
	for _, part := range []string{"go.mod", "go.sum", "audit", "certs", "cmd", "docs", "webhook"} {
		if out, err := exec.CommandContext(t.Context(), "cp", "-R", filepath.Join(clone, part), copied).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	again := filepath.Join(t.TempDir(), "image")
	if _, err := made.layout(copied, again, some()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(read(t, filepath.Join(path, "index.json")), read(t, filepath.Join(again, "index.json"))); diff != "" {
		t.Error(diff)
	}
	other := made
	other.version = "v1.2.4"
	if digest, err := other.layout(copied, again, platforms()[:1]); err != nil || strings.Contains(read(t, filepath.Join(path, "index.json")), digest.Hex) {
		t.Errorf("another version has the same digest, %v", err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A registry with the referrers API and one without: what is pushed comes back, with what is attached to it.
func TestWhatIsPushedIsPulled(t *testing.T) {
	path, _, index := image(t)
	want, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for kind, referrers := range map[string]bool{"with referrers": true, "without": false} {
		server := httptest.NewServer(registry.New(registry.WithReferrersSupport(referrers)))
		t.Cleanup(server.Close)
		to := strings.TrimPrefix(server.URL, "http://") + "/team/meshfence:v1.2.3"
		ref, err := push(t.Context(), path, to, some())
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if !strings.HasSuffix(ref, "/team/meshfence@"+want.String()) {
			t.Errorf("%s: pushed as %s, want %s", kind, ref, want)
		}
		tag, err := name.NewTag(to)
		if err != nil {
			t.Fatal(err)
		}
		pulled, err := remote.Index(tag)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if err := validate.Index(pulled); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if got, err := pulled.Digest(); err != nil || got != want {
			t.Errorf("%s: pulled %s, %v, want %s", kind, got, err, want)
		}
		for _, platform := range some() {
			attachedTo(t, kind, tag, of(t, pulled, platform.Arch), platform)
		}
	}
}

// A push that fails with what is attached leaves no tag: what has a tag has its attachments.
func TestAPushThatFailsLeavesNoTag(t *testing.T) {
	path, _, index := image(t)
	inside, broken := registry.New(), atomic.Bool{}
	broken.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") && bytes.Contains(body, []byte(`"subject"`)) && broken.Load() {
			http.Error(w, "full", http.StatusInsufficientStorage)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		inside.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	to := strings.TrimPrefix(server.URL, "http://") + "/meshfence:v1.2.3"
	tag, err := name.NewTag(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := push(t.Context(), path, to, some()); err == nil || !strings.Contains(err.Error(), "has no tag yet") || !strings.Contains(err.Error(), "make push again") {
		t.Errorf("pushed without attachments: %v", err)
	}
	var failed *transport.Error
	if found, err := remote.Head(tag); !errors.As(err, &failed) || failed.StatusCode != http.StatusNotFound {
		t.Errorf("the tag is there: %v, %v", found, err)
	}
	broken.Store(false)
	if _, err := push(t.Context(), path, to, some()); err != nil {
		t.Fatal(err)
	}
	want, err := index.Digest()
	if found, headErr := remote.Head(tag); err != nil || headErr != nil || found.Digest != want {
		t.Errorf("the tag has %v, %v, want %s, %v", found, headErr, want, err)
	}
}

// An image that lacks a platform is pushed only for those that were asked for.
func TestAPlatformThatIsMissingIsAskedFor(t *testing.T) {
	path, _, _ := image(t)
	missing := build.Platform{OS: "linux", Arch: "riscv64"}
	p, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.check("v1.2.3", append(some(), missing)); err == nil || !strings.Contains(err.Error(), "the image lacks linux/riscv64: ") || !strings.Contains(err.Error(), "make push PLATFORMS=") {
		t.Errorf("%v", err)
	}
	if err := p.check("v1.2.3", some()[:1]); err != nil {
		t.Error(err)
	}
}

// Of what it was made must be known of what is pushed.
func TestAnImageOfNoCommitIsNotPushed(t *testing.T) {
	for name, r := range map[string]release{
		"no commit":      {version: "v1.2.3"},
		"marked as such": {version: "v1.2.3-dirty", commit: made.commit},
	} {
		index := mutate.Annotations(empty.Index, r.labels()).(v1.ImageIndex)
		p := &parcel{index: index, version: r.version}
		if err := p.check("mine", nil); err == nil || !strings.Contains(err.Error(), "git status --ignored shows what differs") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The builder is what the workflow says, and nothing is made up where there is none.
func TestTheBuilderIsNotMadeUp(t *testing.T) {
	for builder, want := range map[string]string{"": "unknown", "https://ci.example.com/release": "https://ci.example.com/release"} {
		r := made
		r.builder = builder
		text, err := r.provenance(&contents{compiler: "go1.26.8"}, some()[0], v1.Hash{})
		if err != nil {
			t.Fatal(err)
		}
		var s statement
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		if got := s.Predicate.RunDetails.Builder["id"]; got != want {
			t.Errorf("the builder is %q, want %q", got, want)
		}
	}
}

// attachedTo asks the registry what is attached to an image and reads it.
func attachedTo(t *testing.T, kind string, tag name.Tag, subject v1.Image, platform build.Platform) {
	t.Helper()
	digest, err := subject.Digest()
	if err != nil {
		t.Fatal(err)
	}
	found, err := remote.Referrers(tag.Context().Digest(digest.String()))
	if err != nil {
		t.Fatalf("%s, %s: %v", kind, platform, err)
	}
	manifest, err := found.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string][]byte{}
	for _, d := range manifest.Manifests {
		artifact, err := remote.Image(tag.Context().Digest(d.Digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		stored := isAnArtifact(t, artifact)
		// Without the API this is what the tag's index says; the registry of these tests, which has the API, says the configuration's type instead.
		if kind == "without" && d.ArtifactType != stored.ArtifactType {
			t.Errorf("%s is listed as %q", stored.ArtifactType, d.ArtifactType)
		}
		layers, err := artifact.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatalf("%s: %d layers, %v", stored.ArtifactType, len(layers), err)
		}
		content, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		if texts[stored.ArtifactType], err = io.ReadAll(content); err != nil {
			t.Fatal(err)
		}
	}
	modules := modulesOf(t, subject)
	if got := spdxModules(t, texts[string(spdxType)]); !slices.Equal(got, modules) {
		t.Errorf("%s, %s: the SBOM has not what Go says of the binary:\n%s", kind, platform, cmp.Diff(modules, got))
	}
	if got := provenanceModules(t, texts[string(inTotoType)], digest); !slices.Equal(got, modules) {
		t.Errorf("%s, %s: the provenance has not what Go says of the binary:\n%s", kind, platform, cmp.Diff(modules, got))
	}
}

// isAnArtifact checks that it has the form that OCI's specification gives what is no image: its type, and the empty configuration.
func isAnArtifact(t *testing.T, artifact v1.Image) *v1.Manifest {
	t.Helper()
	config, err := artifact.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := artifact.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Descriptor{
		MediaType: "application/vnd.oci.empty.v1+json", Size: 2, Data: []byte("{}"),
		Digest: v1.Hash{Algorithm: "sha256", Hex: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
	}
	if diff := cmp.Diff(want, manifest.Config); diff != "" || string(config) != "{}" {
		t.Errorf("%s: the configuration is %q: %s", manifest.ArtifactType, config, diff)
	}
	return manifest
}

// modulesOf are the modules in the image's binary, as `go version -m` prints them, as purls.
func modulesOf(t *testing.T, from v1.Image) []string {
	t.Helper()
	path := filepath.Join(unpack(t, from), program)
	out, err := exec.CommandContext(t.Context(), "go", "version", "-m", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) == 4 && fields[0] == "dep" {
			all = append(all, "pkg:golang/"+fields[1]+"@"+strings.ReplaceAll(fields[2], "+", "%2B"))
		}
	}
	if len(all) < 20 {
		t.Fatalf("%d modules in\n%s", len(all), out)
	}
	slices.Sort(all)
	return all
}

// spdxModules reads an SBOM by SPDX's own reader and returns the purls of what meshfence depends on but for the standard library.
func spdxModules(t *testing.T, text []byte) []string {
	t.Helper()
	document, err := spdxjson.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	var all []string
	for _, p := range document.Packages {
		if p.PrimaryPackagePurpose == "LIBRARY" && p.PackageName != "stdlib" {
			all = append(all, p.PackageExternalReferences[0].Locator)
		}
	}
	slices.Sort(all)
	return all
}

// provenanceModules checks what a statement is about, and returns the purls of the modules with a checksum.
func provenanceModules(t *testing.T, text []byte, about v1.Hash) []string {
	t.Helper()
	var s statement
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if s.Subject[0].Digest["sha256"] != about.Hex {
		t.Errorf("the provenance is about %v, not %s", s.Subject, about)
	}
	var all []string
	commit := ""
	for _, d := range s.Predicate.BuildDefinition.ResolvedDependencies {
		commit += d.Digest["gitCommit"]
		if len(d.Digest["dirHash"]) == 64 {
			all = append(all, d.URI)
		}
	}
	if commit != made.commit {
		t.Errorf("made of the commit %q", commit)
	}
	slices.Sort(all)
	return all
}

// unpack extracts the image's files into a folder.
func unpack(t *testing.T, from v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	files := mutate.Extract(from)
	defer files.Close()
	for archive := tar.NewReader(files); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, header.Name), content, os.FileMode(header.Mode)); err != nil {
			t.Fatal(err)
		}
	}
}

// The binary is run as a pod of OpenShift would: by an arbitrary user with no name, in a file system that has nothing else and cannot be written.
func TestTheBinaryRunsAsAnArbitraryUserWithAReadOnlyRoot(t *testing.T) {
	_, _, index := image(t)
	root := unpack(t, of(t, index, "amd64"))
	// Below, the user is the files' owner by another number; in a cluster it is not.
	if info, err := os.Stat(filepath.Join(root, program)); err != nil || info.Mode().Perm()&0o005 != 0o005 {
		t.Errorf("others may not run it: %v, %v", info.Mode(), err)
	}
	// The first unshare gives the right to mount, also to a user who is not root; the second takes all rights away.
	const script = `set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
if touch "$1/x" 2>/dev/null; then echo "the root can be written"; exit 3; fi
shift
exec unshare --user --map-user=1000660000 --map-group=0 --root="$0" -- "$@"`
	run := func(args ...string) (string, error) {
		all := append([]string{"--user", "--map-root-user", "--mount", "sh", "-c", script, root, root}, args...)
		out, err := exec.CommandContext(t.Context(), "unshare", all...).CombinedOutput()
		return string(out), err
	}
	if out, err := run("/meshfence", "version"); err != nil || !strings.Contains(out, "v1.2.3") {
		t.Errorf("%v %s", err, out)
	}
	// It serves, as far as it comes without a cluster: it says what it lacks.
	if out, err := run("/meshfence", "serve"); err == nil || !strings.Contains(out, "kubeconfig") || strings.Contains(out, "panic") {
		t.Errorf("%v %s", err, out)
	}
}

// What the last stage of the Dockerfile says, the image has.
func TestTheImageIsWhatTheDockerfileMakes(t *testing.T) {
	_, _, index := image(t)
	for _, platform := range some() {
		found := of(t, index, platform.Arch)
		config, err := found.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{
			"USER": config.Config.User, "ENTRYPOINT": asJSON(t, config.Config.Entrypoint), "CMD": asJSON(t, config.Config.Cmd), "EXPOSE": ports(config.Config.ExposedPorts),
			"COPY": strings.Join(names(t, found), " "), "FROM": "scratch",
		}
		if diff := cmp.Diff(lastStage(t), got); diff != "" {
			t.Errorf("%s: the Dockerfile (-) and the image (+): %s", platform, diff)
		}
	}
}

// lastStage are the instructions of the Dockerfile's last stage, each with its words; of COPY only where to.
func lastStage(t *testing.T) map[string]string {
	t.Helper()
	text := read(t, filepath.Join(clone, "Dockerfile"))
	stage := map[string]string{}
	for line := range strings.Lines(text[strings.LastIndex(text, "\nFROM ")+1:]) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		instruction, words, _ := strings.Cut(line, " ")
		if _, ok := stage[instruction]; ok {
			t.Fatalf("the last stage has two %s", instruction)
		}
		if instruction == "COPY" {
			words = words[strings.LastIndex(words, " ")+1:]
		}
		if strings.HasPrefix(words, "[") {
			var list []string
			if err := json.Unmarshal([]byte(words), &list); err != nil {
				t.Fatal(err)
			}
			words = asJSON(t, list)
		}
		stage[instruction] = words
	}
	return stage
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ports are the exposed ports, as the Dockerfile writes them: the greatest first.
func ports(exposed map[string]struct{}) string {
	var all []string
	for port := range exposed {
		all = append(all, strings.TrimSuffix(port, "/tcp"))
	}
	slices.Sort(all)
	slices.Reverse(all)
	return strings.Join(all, " ")
}

// names are the paths of the files in the image.
func names(t *testing.T, from v1.Image) []string {
	t.Helper()
	entries, err := os.ReadDir(unpack(t, from))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, "/"+e.Name())
	}
	return all
}

func TestErrorsSayWhatToDo(t *testing.T) {
	path, _, _ := image(t)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"nothing":             {nil, "build or push"},
		"an unknown verb":     {[]string{"make"}, `"make" is neither build nor push`},
		"an unknown platform": {[]string{"build", "-platforms", "linux/mips"}, `"linux/mips" is not one of [linux/amd64`},
		"no name":             {[]string{"push", "-from", path}, "make push IMAGE=registry.example.com/meshfence:v1.2.3"},
		"a name without tag":  {[]string{"push", "-from", path, "registry.example.com/meshfence"}, "a name has a registry and a tag"},
		"no layout":           {[]string{"push", "-from", t.TempDir(), "127.0.0.1:1/meshfence:v1"}, "make image makes it"},
		"no registry":         {[]string{"push", "-from", path, "-platforms", "linux/amd64", "127.0.0.1:1/meshfence:v1"}, "connection refused"},
		"another version":     {[]string{"push", "-from", path, "-platforms", "linux/amd64", "127.0.0.1:1/meshfence:v1.2.4"}, "the image is of version v1.2.3, and the tag is v1.2.4: make image VERSION=v1.2.4"},
		"no source":           {[]string{"build", "-root", t.TempDir(), "-out", filepath.Join(t.TempDir(), "image"), "-platforms", "linux/amd64"}, "linux/amd64: exit status 1"},
	} {
		if err := run(t.Context(), test.args); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// A build that fails leaves the image of before.
func TestABuildThatFailsLeavesTheImageOfBefore(t *testing.T) {
	out := filepath.Join(t.TempDir(), "image")
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	before := filepath.Join(out, "index.json")
	if err := os.WriteFile(before, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := made.layout(t.TempDir(), out, platforms()[:1]); err == nil {
		t.Error("built of nothing")
	}
	entries, err := os.ReadDir(filepath.Dir(out))
	if read(t, before) != "{}" || err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}
