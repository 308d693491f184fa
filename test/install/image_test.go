package install

import (
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The limits of the image, and the user id range that OpenShift's restricted-v2 would choose from for a namespace.
const (
	maxImage      = 40 << 20
	openshiftUser = 1000680000
)

// finalStage returns the lines of the Dockerfile's last stage.
func finalStage(t *testing.T, root string) (stage []string, whole string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "FROM ") {
			stage = nil
		}
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			stage = append(stage, line)
		}
	}
	return stage, string(text)
}

// The final stage is the binary and nothing else, and the builder makes the same binary as `make build`.
func TestTheDockerfile(t *testing.T) {
	w := &world{t: t, root: mustRoot(t)}
	stage, whole := finalStage(t, w.root)
	want := []string{
		"FROM scratch", "COPY --from=build /meshfence /meshfence", "USER 65532:65532", "EXPOSE 9443 8081 8080", `ENTRYPOINT ["/meshfence"]`, `CMD ["serve"]`,
	}
	if diff := cmp.Diff(want, stage); diff != "" {
		t.Errorf("the final stage (-want +got):\n%s", diff)
	}
	for _, line := range []string{
		"FROM --platform=$BUILDPLATFORM ", "CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build", "main.version=$VERSION", "main.commit=$COMMIT", "main.date=$DATE",
	} {
		if !strings.Contains(whole, line) {
			t.Errorf("the builder lacks %q", line)
		}
	}
	copied := regexp.MustCompile(`(?m)^COPY (\w+) (\w+)$`).FindAllStringSubmatch(whole, -1)
	var folders []string
	for _, c := range copied {
		folders = append(folders, c[1])
	}
	list, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "github.com/meshfence/meshfence/cmd/meshfence").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(list)) {
		if path, ours := strings.CutPrefix(pkg, "github.com/meshfence/meshfence/"); ours && !slices.Contains(folders, strings.Split(path, "/")[0]) {
			t.Errorf("the builder does not copy %s", path)
		}
	}
	sent, err := os.ReadFile(filepath.Join(w.root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(folders, "go.mod", "go.sum") {
		if !strings.Contains(string(sent), "\n!"+name+"\n") {
			t.Errorf(".dockerignore keeps %s from the builder", name)
		}
	}
	binary := filepath.Join(w.root, "bin", "meshfence")
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxImage {
		t.Errorf("the binary has %d bytes, more than %d", info.Size(), maxImage)
	}
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 || file.Section(".interp") != nil {
		t.Errorf("the binary is not static: it needs %q (%v)", libraries, err)
	}
}

// imageRuns makes the final stage's files, and runs them as a container engine would: nothing else is there, nothing can be
// written, and the user is one that OpenShift might choose. Without root's rights it runs with the files as they are.
func (w *world) imageRuns() {
	w.t.Helper()
	image := filepath.Join(w.t.TempDir(), "image")
	binary, err := os.ReadFile(filepath.Join(w.root, "bin", "meshfence"))
	w.do("read the binary", err)
	w.do("make the image", os.MkdirAll(image, 0o755))
	w.do("write the binary", os.WriteFile(filepath.Join(image, "meshfence"), binary, 0o755))
	account, err := w.TokenKubeconfig(w.t.Context(), client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"})
	w.do("get a token", err)
	// In a cluster this is mounted, and is the service account's folder.
	kubeconfig, err := os.ReadFile(account)
	w.do("read the kubeconfig", err)
	w.do("mount it", os.WriteFile(filepath.Join(image, "kubeconfig"), kubeconfig, 0o444))
	before := inventory(w.t, image)
	w.do("make it read-only", os.Chmod(image, 0o555))
	defer func() { _ = os.Chmod(image, 0o755) }()

	port := 18000 + os.Getpid()%1000*2
	args := []string{
		"serve", "--certs=self-signed", "--kubeconfig=kubeconfig", "--namespace=meshfence-system", "--metrics-bind-address=0",
		fmt.Sprintf("--bind-address=127.0.0.1:%d", port), fmt.Sprintf("--health-bind-address=127.0.0.1:%d", port+1),
	}
	cmd := exec.CommandContext(w.t.Context(), filepath.Join(image, "meshfence"), args...)
	cmd.Dir, cmd.Env = image, []string{}
	if os.Geteuid() == 0 {
		cmd.Path, cmd.Dir = "/meshfence", "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: image, Credential: &syscall.Credential{Uid: openshiftUser, Gid: 0, Groups: []uint32{openshiftUser}}}
	}
	var log strings.Builder
	cmd.Stderr = &log
	w.do("start", cmd.Start())
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			w.t.Errorf("the image's program ended with %v\n%s", err, log.String())
		}
	}()
	w.eventually("the image's program is ready", func() error { return get(w.t.Context(), fmt.Sprintf("http://127.0.0.1:%d/readyz", port+1)) })
	if diff := cmp.Diff(before, inventory(w.t, image)); diff != "" {
		w.t.Errorf("files came or went (-before +after):\n%s", diff)
	}
}

// inventory lists the files below a folder with their sizes and times.
func inventory(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			all = append(all, fmt.Sprint(path, info.Size(), info.ModTime().Format(time.RFC3339Nano)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
