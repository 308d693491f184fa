package foreign

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// committed copies the source as it is here, with what is not committed yet, into a repository of its own with one commit: what is no commit is not pushed. Helm is copied
// last, so that it is newer than its go.mod.
func committed(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	const script = `set -eu
cd "$0"
GIT_INDEX_FILE="$2" git add -A
git archive "$(GIT_INDEX_FILE="$2" git write-tree)" | tar -x -C "$1"
cd "$1"
git init -q
git add -A
git -c user.name=test -c user.email=test@example.com commit -q -m all
mkdir -p bin/tools
cp "$0/bin/tools/helm" bin/tools/helm`
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", script, root, dir, filepath.Join(t.TempDir(), "index")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// TestARelease does what docs/releasing.md says, with a registry of its own, and installs the result: the image is made and pushed, the chart packed and
// pushed, and Helm installs the chart from there. What the pods are to run is in the registry under the name that the chart gives it.
func TestARelease(t *testing.T) {
	server := httptest.NewServer(registry.New())
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	values, err := os.ReadFile(filepath.Join(root, "deploy", "chart", "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(filepath.Join(root, "deploy", "chart", "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	number := string(regexp.MustCompile(`(?m)^version: (\S+)$`).FindSubmatch(said)[1])
	releaseOf := "v" + number
	r := &released{t: t, root: committed(t, root)}
	r.make("image", "VERSION="+releaseOf, "PLATFORMS=linux/amd64")
	pushed := strings.TrimSpace(r.make("push", "IMAGE="+host+"/meshfence:"+releaseOf, "PLATFORMS=linux/amd64"))
	r.make("package", "VERSION="+releaseOf)
	r.run("bin/tools/helm", "push", "bin/package/meshfence-"+number+".tgz", "oci://"+host+"/charts", "--plain-http")

	chart := []string{"oci://" + host + "/charts/meshfence", "--version", number, "--plain-http"}
	if shown := r.run("bin/tools/helm", append([]string{"show", "values"}, chart...)...); !strings.Contains(shown, string(values)) {
		t.Errorf("helm show values prints\n%s", shown)
	}
	if about := r.run("bin/tools/helm", append([]string{"show", "readme"}, chart...)...); !strings.Contains(about, "helm install meshfence") {
		t.Errorf("helm show readme prints\n%s", about)
	}

	cluster, err := harness.Start(t.Context(), harness.Options{WithNode: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%v\n%.20000s", cluster.Node.Err(), cluster.Node.Logs())
		}
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	if r.env, err = cluster.UserEnv(); err != nil {
		t.Fatal(err)
	}
	digest := pushed[strings.LastIndex(pushed, "@")+1:]
	for _, image := range []string{"image.tag=", "image.digest=" + digest} {
		args := append([]string{"upgrade", "--install", "meshfence"}, chart...)
		r.run("bin/tools/helm", append(args, "--namespace", "meshfence-system", "--create-namespace", "--set", "certs.mode=self-signed,image.repository="+host+"/meshfence,"+image)...)
		key := client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"}
		if err := cluster.Node.WaitRollout(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		d := &appsv1.Deployment{}
		if err := cluster.Client.Get(t.Context(), key, d); err != nil {
			t.Fatal(err)
		}
		if d.Labels["app.kubernetes.io/version"] != releaseOf {
			t.Errorf("its labels are %v", d.Labels)
		}
		ref, err := name.ParseReference(d.Spec.Template.Spec.Containers[0].Image)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := remote.Head(ref); err != nil || found.Digest.String() != digest {
			t.Errorf("%s: the registry has %v, %v, and %s was pushed", ref, found, err, pushed)
		}
	}
	const conflicting = `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"conflicting","labels":{"istio-injection":"enabled","istio.io/rev":"x"}}}`
	answer := ""
	if err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		cmd := exec.CommandContext(ctx, cluster.Kubectl, "create", "--dry-run=server", "-f", "-")
		cmd.Env, cmd.Stdin = r.env, strings.NewReader(conflicting)
		out, err := cmd.CombinedOutput()
		answer = string(out)
		return err != nil && strings.Contains(answer, "MF204"), nil
	}); err != nil {
		t.Errorf("it does not judge: %v, %s", err, answer)
	}
}

// released runs what a person who makes a release runs.
type released struct {
	t    *testing.T
	root string
	env  []string
}

func (r *released) make(args ...string) string {
	r.t.Helper()
	return r.run("make", append([]string{"--no-print-directory"}, args...)...)
}

func (r *released) run(program string, args ...string) string {
	r.t.Helper()
	if strings.Contains(program, "/") {
		program = filepath.Join(r.root, program)
	}
	cmd := exec.CommandContext(r.t.Context(), program, args...)
	cmd.Dir, cmd.Env = r.root, append(os.Environ(), r.env...)
	out, err := cmd.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			r.t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, failed.Stderr)
		}
		r.t.Fatal(err)
	}
	return string(out)
}
