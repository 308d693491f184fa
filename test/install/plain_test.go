package install

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness/transcript"
)

// TestWithoutHelm installs, switches off, and removes meshfence with kubectl and a rendered file, nothing else.
func TestWithoutHelm(t *testing.T) {
	w := start(t, nil)
	file := w.file("meshfence-self-signed.yaml")
	if text := w.accepted("before"); strings.Contains(text, "MF204") {
		t.Fatalf("before the installation: %s", text)
	}

	// As the head of the file says: the webhook configurations last, when meshfence is up.
	w.kubectl("apply", "-f", file, "--selector", "meshfence.io/part!=webhooks")
	w.rollout("meshfence-system", "meshfence")
	if text := w.accepted("before"); strings.Contains(text, "MF204") {
		t.Fatalf("before the webhook configurations are there: %s", text)
	}
	w.kubectl("apply", "-f", file)
	w.eventually("meshfence judges", w.guarded)

	w.metricsAreThere()
	w.kustomizeLeavesTexts()

	w.upgradeWithoutHelm(file)
	w.newCertificates()
	w.imageRuns()
	w.notOverkill()
	w.emergencyExit(file)

	w.replay("remove-with-kubectl")
	w.eventually("everything is gone", func() error {
		if left := w.leftovers("meshfence"); len(left) > 0 {
			return fmt.Errorf("left: %q", left)
		}
		return nil
	})
	if text := w.accepted("after"); strings.Contains(text, "MF204") {
		t.Errorf("after the removal: %s", text)
	}
	if err := w.Node.Err(); err != nil {
		t.Error(err)
	}
}

// upgradeWithoutHelm applies the file a second time, which changes nothing, and then, as documented, that of a later version.
func (w *world) upgradeWithoutHelm(file string) {
	w.t.Helper()
	if text := w.kubectl("apply", "-f", file); !strings.Contains(text, "\nvalidatingwebhookconfiguration.admissionregistration.k8s.io/meshfence unchanged\n") {
		w.t.Errorf("the same file again:\n%s", text)
	}
	dir, err := transcript.Dir(w.Cluster)
	w.do("find the folder of the transcripts", err)
	content, err := os.ReadFile(file)
	w.do("read the file", err)
	// Other versions differ in this at least: the image's tag, and the label of everything.
	later := filepath.Join(dir, "deploy")
	w.do("leave the repository's files", os.Remove(later))
	w.do("make a folder for a later version's", os.Mkdir(later, 0o755))
	content = regexp.MustCompile(`\bv[0-9]+\.[0-9]+\.[0-9]+\b`).ReplaceAll(content, []byte("v99.0.0"))
	w.do("write a later version's", os.WriteFile(filepath.Join(later, filepath.Base(file)), content, 0o600))
	w.replay("upgrade-with-kubectl")
	w.eventually("meshfence judges", w.guarded)
}

// newCertificates: who wants other certificates deletes the Secret, and meshfence, which judges meanwhile, makes another one.
func (w *world) newCertificates() {
	w.t.Helper()
	content := func() string {
		text, _ := w.try("", "-n", "meshfence-system", "get", "secret", "meshfence-certs", "-o", "jsonpath={.metadata.uid} {.data}")
		return text
	}
	before := content()
	w.kubectl("-n", "meshfence-system", "delete", "secret", "meshfence-certs")
	w.eventually("there is another Secret with certificates", func() error {
		if text := content(); text == before || !strings.Contains(text, "tls.crt") {
			return fmt.Errorf("it is %.100s", text)
		}
		return w.guarded()
	})
}

// notOverkill: what the cluster and meshfence need to come up is never asked about, even while nobody answers.
func (w *world) notOverkill() {
	w.t.Helper()
	deployment := client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"}
	w.kubectl("-n", "meshfence-system", "scale", "deployment/meshfence", "--replicas=0")
	w.rollout("meshfence-system", "meshfence")
	if ready := w.Node.Ready(deployment); len(ready) > 0 {
		w.t.Fatalf("%d pods are there after scaling to 0", len(ready))
	}
	for _, name := range []string{"kube-system", "meshfence-system"} {
		w.kubectl("label", "namespace", name, "istio.io/rev=x")
		w.kubectl("label", "namespace", name, "istio.io/rev-")
	}
	w.kubectl("create", "namespace", "ordinary")
	w.kubectl("label", "namespace", "ordinary", "team=a")
	// Replicas that leave answer until the end of their preStop.
	tries := 0
	w.eventually("a mesh label is refused while nobody answers", func() error {
		tries++
		text, err := w.try("", "label", "namespace", "ordinary", "--overwrite", fmt.Sprintf("istio.io/rev=x%d", tries))
		if err == nil || !strings.Contains(text, "failed calling webhook") {
			return fmt.Errorf("it is answered with: %s", text)
		}
		return nil
	})
}

// emergencyExit switches meshfence off with the one line that is documented everywhere, while it is down, and on again.
func (w *world) emergencyExit(file string) {
	w.t.Helper()
	w.replay("emergency-exit")
	w.eventually("mesh labels can be changed", func() error {
		text, err := w.try("", "label", "namespace", "ordinary", "istio.io/rev=x", "--overwrite")
		if err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		return nil
	})
	w.kubectl("apply", "-f", file)
	w.rollout("meshfence-system", "meshfence")
	w.eventually("meshfence judges again", w.guarded)
}

// kustomizeLeavesTexts changes namespace and names of a rendered file with kustomize, which leaves those that docs/install.md names as they were.
func (w *world) kustomizeLeavesTexts() {
	w.t.Helper()
	dir := w.t.TempDir()
	content, err := os.ReadFile(w.file("meshfence-cert-manager.yaml"))
	w.do("read the file", err)
	w.do("copy the file", os.WriteFile(filepath.Join(dir, "meshfence.yaml"), content, 0o600))
	w.do("write a kustomization", os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte("resources: [meshfence.yaml]\nnamespace: other\nnamePrefix: a-\n"), 0o600))
	text := w.kubectl("kustomize", dir)
	if !strings.Contains(text, "\n  name: a-meshfence\n  namespace: other\n") {
		w.t.Errorf("kustomize changes nothing:\n%.2000s", text)
	}
	for _, left := range []string{
		"\n  - meshfence.meshfence-system.svc\n", "cert-manager.io/inject-ca-from: meshfence-system/meshfence-serving\n", "\n      - kube-system\n      - meshfence-system\n",
		"'system:serviceaccount:meshfence-system:meshfence'", "- --name=meshfence\n",
	} {
		if !strings.Contains(text, left) {
			w.t.Errorf("kustomize changes %q, and docs/install.md says that it does not", left)
		}
	}
}
