package install

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/webhook/match"
)

// TestHelm installs meshfence with Helm, tests it, upgrades it and rolls it back under load, puts a second one of another name beside
// it, and removes both.
func TestHelm(t *testing.T) {
	w := start(t, nil)
	notes := w.helm("install", "meshfence", w.chart(), "--namespace", "meshfence-system", "--create-namespace", "--set", "certs.mode=self-signed")
	if !strings.Contains(notes, "helm test meshfence --namespace meshfence-system") {
		t.Errorf("the notes do not say what to try:\n%s", notes)
	}
	w.rollout("meshfence-system", "meshfence")
	w.eventually("meshfence judges", w.guarded)
	w.tryNotes(notes)
	w.helm("test", "meshfence", "--namespace", "meshfence-system", "--timeout", "60s")
	w.podsAreAllowed("meshfence-system", "meshfence")

	remove := w.second()
	l := w.startLoad()
	w.eventually("the mesh's label is asked about", w.asksAboutTheMesh)
	w.upgrade()
	remove()
	w.replay("remove-with-helm")
	w.gone("meshfence")
	l.end(t)
	w.again()
	if text := w.accepted("after"); strings.Contains(text, "MF204") {
		t.Errorf("after the removal: %s", text)
	}
	if err := w.Node.Err(); err != nil {
		t.Error(err)
	}
}

// example is what the notes propose to try.
var example = regexp.MustCompile(`(?s)kubectl create --dry-run=server -f - <<EOF\n.*?\n  EOF\n`)

// tryNotes does what the notes propose.
func (w *world) tryNotes(notes string) {
	w.t.Helper()
	command := strings.ReplaceAll(example.FindString(notes), "\n  ", "\n")
	text, err := w.run(exec.CommandContext(w.t.Context(), "sh", "-c", command), "")
	if err == nil || !strings.Contains(text, "MF204") {
		w.t.Errorf("what the notes say is answered with: %s\n%s", text, notes)
	}
}

// again installs what was removed, beside what it left behind (the ledger), as for a first day, ends that day, and removes it
// while no replica can answer.
func (w *world) again() {
	w.t.Helper()
	notes := w.replay("first-day")
	w.firstDay(notes)
	w.replay("end-of-the-first-day")
	w.eventually("meshfence judges after the first day", w.guarded)
	w.kubectl("-n", "meshfence-system", "scale", "deployment/meshfence", "--replicas=0")
	w.helm("uninstall", "meshfence", "--namespace", "meshfence-system")
	w.gone("meshfence")
}

// firstDay: whoever tries meshfence is warned, and nobody else hears of it.
func (w *world) firstDay(notes string) {
	w.t.Helper()
	trying := strings.ReplaceAll(conflicting, "labels: {", `labels: {meshfence.io/try: "yes", `)
	w.eventually("who tries it is warned", func() error {
		text, err := w.try(fmt.Sprintf(trying, "trying"), "create", "--dry-run=server", "-f", "-")
		if err != nil || !strings.Contains(text, "Warning: MF204") {
			return errors.Join(err, fmt.Errorf("the answer is: %s", text))
		}
		return nil
	})
	if text := w.accepted("elsewhere"); strings.Contains(text, "MF204") {
		w.t.Errorf("who does not try it hears: %s", text)
	}
	text, err := w.run(exec.CommandContext(w.t.Context(), "sh", "-c", strings.ReplaceAll(example.FindString(notes), "\n  ", "\n")), "")
	if err != nil || !strings.Contains(text, "Warning: MF204") {
		w.t.Errorf("what the notes say is answered with: %s\n%s", text, notes)
	}
	w.helm("test", "meshfence", "--namespace", "meshfence-system", "--timeout", "60s")
	// What helm test does where the selector names namespaces, which may exist.
	selftest := exec.CommandContext(w.t.Context(), filepath.Join(w.root, "bin", "meshfence"), "selftest", "--label=kubernetes.io/metadata.name=default", "--label=meshfence.io/try=yes")
	if text, err := w.run(selftest, ""); err != nil || !strings.Contains(text, `meshfence warns: MF204`) || !strings.Contains(text, `Namespace "default"`) {
		w.t.Errorf("the selftest with a namespace that exists: %v\n%s", err, text)
	}
}

// conflict is what Helm says when meshfence writes a condition between Helm's look at it and Helm's own change. It is in docs/install.md.
const conflict = `conflict with "meshfence"`

// upgrade changes the image and the configuration, which gives new pods, and goes back.
func (w *world) upgrade() {
	w.t.Helper()
	doc, err := os.ReadFile(filepath.Join(w.root, "docs", "install.md"))
	if err != nil || !strings.Contains(string(doc), "`"+conflict+"`") {
		w.t.Errorf("docs/install.md does not say what to do about a %s (%v)", conflict, err)
	}
	w.replay("upgrade-with-helm")
	w.helm("upgrade", "meshfence", w.chart(), "--namespace", "meshfence-system", "--reset-then-reuse-values", "--set", "image.tag=v9,config.rules.MF204=warn")
	if err := w.asksAboutTheMesh(); err != nil {
		w.t.Errorf("after the upgrade: %v", err)
	}
	for _, labels := range []string{"istio-discovery", "istio-discovery,mesh,stage"} {
		// The pods may follow the configuration while Helm still applies, and write a key.
		w.eventually("Helm meets no new key", func() error {
			text, err := w.run(exec.CommandContext(w.t.Context(), filepath.Join(w.root, "bin", "tools", "helm"), "upgrade", "meshfence", w.chart(),
				"--namespace", "meshfence-system", "--reset-then-reuse-values", "--set", "config.discoveryLabels={"+labels+"}"), "")
			if err != nil && !strings.Contains(text, conflict) {
				w.t.Fatalf("%v\n%s", err, text)
			}
			return err
		})
		w.eventually("with other discovery labels the mesh's is still asked about", w.asksAboutTheMesh)
	}
	w.rollout("meshfence-system", "meshfence")
	w.eventually("only the new pods answer, with MF204: warn", func() error {
		text, err := w.try(fmt.Sprintf(conflicting, "conflicting"), "create", "--dry-run=server", "-f", "-")
		if err != nil || !strings.Contains(text, "MF204") {
			return fmt.Errorf("the answer is: %s", text)
		}
		return nil
	})
	// What is rolled back to was made when no mesh had its own label: a field that meshfence has written since.
	w.replay("roll-back")
	w.rollout("meshfence-system", "meshfence")
	w.eventually("meshfence judges", w.guarded)
	w.eventually("the mesh's label is asked about", w.asksAboutTheMesh)
}

// second installs another release in another namespace from what `helm template` prints, with both serving, and returns what
// removes it.
func (w *world) second() (remove func()) {
	w.t.Helper()
	manifests := w.helm("template", "fence", w.chart(), "--namespace", "guards", "--skip-tests", "--set", "certs.mode=self-signed,namespace.create=true,config.rules.MF204=warn")
	if text, err := w.try(manifests, "apply", "--selector", "meshfence.io/part!=webhooks", "-f", "-"); err != nil {
		w.t.Fatalf("%v\n%s", err, text)
	}
	w.rollout("guards", "fence")
	w.apply(manifests)
	w.eventually("the second one judges", func() error {
		ready := w.Node.Ready(client.ObjectKey{Namespace: "guards", Name: "fence"})
		if len(ready) == 0 {
			return errors.New("no pod is ready")
		}
		for _, process := range ready {
			page, err := process.Metrics(w.t.Context())
			if err != nil {
				return err
			}
			if strings.Contains(page, `meshfence_findings_total{answer="warn",operation="CREATE",resource="namespaces",rule="MF204"}`) {
				return nil
			}
		}
		// Validating webhooks are all asked at once, so both judge.
		return errors.Join(errors.New("it has judged nothing yet"), w.guarded())
	})
	return func() {
		w.t.Helper()
		w.kubectl("delete", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "fence")
		if text, err := w.try(manifests, "delete", "--wait=false", "--ignore-not-found", "-f", "-"); err != nil {
			w.t.Fatalf("%v\n%s", err, text)
		}
		w.gone("fence")
		// Pods of the version before, which only warns, may still answer on connections that the API server has kept.
		w.eventually("meshfence judges after the second one is gone", w.guarded)
	}
}

func (w *world) gone(instance string) {
	w.t.Helper()
	w.eventually("everything of "+instance+" is gone", func() error {
		if left := w.leftovers(instance); len(left) > 0 {
			return fmt.Errorf("left: %q", left)
		}
		return nil
	})
}

// asksAboutTheMesh is a condition: the API server asks about namespaces with the label of the mesh that the load has made.
func (w *world) asksAboutTheMesh() error {
	if expression := w.asked(); !slices.Contains(match.Read(expression).Keys, "team-mesh") {
		return fmt.Errorf("team-mesh is not in %s", expression)
	}
	return nil
}

// podsAreAllowed creates a pod of the Deployment's template, in a dry run, where Pod Security enforces the level restricted.
func (w *world) podsAreAllowed(namespace, name string) {
	w.t.Helper()
	w.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
	if err := w.podOf(namespace, name); err != nil {
		w.t.Errorf("a pod of %s is not allowed: %v", name, err)
	}
}

// podOf creates a pod of a Deployment's template, in a dry run.
func (w *world) podOf(namespace, name string) error {
	w.t.Helper()
	d := &appsv1.Deployment{}
	w.do("read the Deployment", w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, d))
	pod := &corev1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta, Spec: d.Spec.Template.Spec}
	pod.Namespace, pod.GenerateName = namespace, name+"-"
	return w.Client.Create(w.t.Context(), pod, client.DryRunAll)
}

// TestOnlySail installs meshfence so that only the istiods of the Sail operator count: it has no right to read anything of others, needs none, and judges none.
func TestOnlySail(t *testing.T) {
	w := start(t, nil)
	w.helm("install", "meshfence", w.chart(), "--namespace", "meshfence-system", "--create-namespace", "--set", "certs.mode=self-signed", "--set", "istiods=sail")
	w.rollout("meshfence-system", "meshfence")
	w.eventually("meshfence judges", w.guarded)
	for _, right := range []string{"list configmaps", "list deployments.apps", "watch services", "list mutatingwebhookconfigurations"} {
		args := append([]string{"auth", "can-i"}, strings.Fields(right)...)
		// kubectl says no by its status, too.
		text, _ := w.try("", append(args, "--all-namespaces", "--as=system:serviceaccount:meshfence-system:meshfence")...)
		if lines := strings.Split(strings.TrimSpace(text), "\n"); lines[len(lines)-1] != "no" {
			t.Errorf("whether it has the right to %s: %s", right, text)
		}
	}
	if text := w.kubectl("get", "validatingwebhookconfiguration", "meshfence", "-o", "jsonpath={.webhooks[*].name}"); strings.Contains(text, "istiod.validate") {
		t.Errorf("the API server asks about mesh configurations: %s", text)
	}
	w.kubectl("create", "namespace", "plane")
	w.kubectl("create", "configmap", "istio-x", "--namespace", "plane", "--from-literal=mesh=")
	w.kubectl("label", "configmap", "istio-x", "--namespace", "plane", "istio.io/rev=x")
	if err := w.Node.Err(); err != nil {
		t.Error(err)
	}
}

// TestHelm3 rolls back a release that is not applied on the server's side, as one that Helm 3 began.
func TestHelm3(t *testing.T) {
	w := start(t, nil)
	w.helm("install", "meshfence", w.chart(), "--namespace", "meshfence-system", "--create-namespace", "--set", "certs.mode=self-signed", "--server-side=false")
	w.rollout("meshfence-system", "meshfence")
	w.apply(mesh)
	w.eventually("the mesh's label is asked about", w.asksAboutTheMesh)
	w.helm("upgrade", "meshfence", w.chart(), "--namespace", "meshfence-system", "--reset-then-reuse-values", "--set", "mode=warn")
	w.do("look at what is asked about after an upgrade", w.asksAboutTheMesh())
	const refusal = "invalid client update option(s)"
	rollback := exec.CommandContext(t.Context(), filepath.Join(w.root, "bin", "tools", "helm"), "rollback", "meshfence", "1", "--namespace", "meshfence-system", "--force-conflicts")
	text, err := w.run(rollback, "")
	doc, unread := os.ReadFile(filepath.Join(w.root, "docs", "install.md"))
	if err == nil || !strings.Contains(text, refusal) || unread != nil || !strings.Contains(string(doc), "`"+refusal+"`") {
		t.Errorf("a rollback by force, which docs/install.md says is refused with %s: %v\n%s", refusal, err, text)
	}
	w.replay("roll-back-by-force")
	w.eventually("meshfence judges", w.guarded)
	w.eventually("the mesh's label is asked about", w.asksAboutTheMesh)
}
