package foreign

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness/transcript"
)

// istioVersion is what Istio's release builder would call the charts.
const istioVersion = "1.30.3"

// mended is a refused change, or something that exists, and the commands that a message about it prints.
type mended struct {
	name string
	// releases are installed past meshfence, by an exempt user.
	releases []release
	// labels of namespaces, by name.
	labels map[string]string
	// then is tried by a user. If it has no command, then what exists is looked at with meshfence check.
	then release
	// code is the rule whose ways out are run, and commands what each of them runs, as far as it is told here.
	code     string
	commands []string
}

// release is an installation or an upgrade by Helm, or another command.
type release struct{ command, namespace, values string }

// installation is a release of the guide.
func installation(n, values string) release {
	return release{"install istiod-" + n, "usergroup-" + n, "revision: usergroup-" + n + "\n" + values}
}

func upgrading(n, values string) release {
	return release{"upgrade istiod-" + n, "usergroup-" + n, "revision: usergroup-" + n + "\n" + values}
}

// meshConfig are values with selectors.
func meshConfig(selectors string) string {
	return "meshConfig: {discoverySelectors: [" + selectors + "]}\n"
}

const (
	one  = "{matchLabels: {usergroup: usergroup-1}}"
	two  = "{matchLabels: {usergroup: usergroup-2}}"
	both = "{matchExpressions: [{key: usergroup, operator: In, values: [usergroup-1, usergroup-2]}]}"
)

func remediesByHelm() []mended {
	guide := []release{installation("1", meshConfig(one)), installation("2", meshConfig(two))}
	return []mended{
		{
			name: "an upgrade that overlaps", releases: guide, then: upgrading("1", meshConfig(both)), code: "MF103",
			commands: []string{"helm upgrade istiod-1", "kubectl annotate configmap istio-usergroup-1", "helm upgrade istiod-1"},
		},
		{
			name: "an upgrade that loses the selectors", releases: guide, then: upgrading("1", "meshConfig: {}\n"), code: "MF102",
			commands: []string{"helm upgrade istiod-1", "kubectl annotate configmap istio-usergroup-1", "helm upgrade istiod-1"},
		},
		{
			name: "an Istio that overlaps with all", releases: []release{installation("1", "meshConfig: {}\n")},
			then: release{command: "apply", values: fmt.Sprintf(istioOf, "usergroup-3")}, code: "MF103", commands: []string{"helm upgrade istiod-1"},
		},
		{
			name: "an installation beside one that has no mesh configuration", releases: []release{installation("1", meshConfig(one)+"pilot: {configMap: false}\n")},
			then: installation("2", meshConfig(two)), code: "MF103", commands: []string{"helm upgrade istiod-1"},
		},
		{
			name: "an upgrade that leaves namespaces behind", releases: guide, labels: map[string]string{"shop": "usergroup=usergroup-1 istio.io/rev=usergroup-1"},
			then: upgrading("1", meshConfig("{matchLabels: {usergroup: none}}, {matchLabels: {usergroup: usergroup-1, x: z}}")), code: "MF111",
			commands: []string{"helm upgrade istiod-1", "kubectl label namespace"},
		},
		{
			name: "the deletion of a ConfigMap", releases: guide, then: release{command: "kubectl delete configmap istio-usergroup-1 --namespace usergroup-1"}, code: "MF116",
			commands: []string{"helm uninstall istiod-1"},
		},
		{
			name: "two that overlap", releases: []release{installation("1", meshConfig(both)), installation("2", meshConfig(two))}, code: "MF103",
			commands: []string{"helm upgrade istiod-"},
		},
		{
			name: "one that discovers everything", releases: []release{installation("1", "meshConfig: {}\n"), installation("2", meshConfig(two))}, code: "MF102",
			commands: []string{"helm upgrade istiod-1"},
		},
		{
			name: "one ClusterTrustBundle", code: "MF119", commands: []string{"helm upgrade istiod-"},
			releases: []release{installation("1", meshConfig(one)+clusterTrustBundle), installation("2", meshConfig(two)+clusterTrustBundle)},
		},
		{
			name: "a trust bundle that no pod mounts", code: "MF120", commands: []string{"helm upgrade istiod-1"},
			releases: []release{installation("1", meshConfig(one)+"pilot: {env: {PILOT_CA_CERT_CONFIGMAP: own}}\n"), installation("2", meshConfig(two))},
		},
		{
			name: "namespaces without labels are injected", code: "MF108", commands: []string{"helm upgrade istiod-1"},
			releases: []release{
				{"install istiod-1", "usergroup-1", meshConfig(one) + "sidecarInjectorWebhook: {enableNamespacesByDefault: true}\n"}, installation("2", meshConfig(two)),
			},
		},
	}
}

const (
	istioOf            = "apiVersion: sailoperator.io/v1\nkind: Istio\nmetadata: {name: mesh-3}\nspec: {version: v1.30.3, namespace: istio-system-3, values: {meshConfig: {discoverySelectors: [{matchLabels: {usergroup: %s}}]}}}\n"
	clusterTrustBundle = "pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: true}}\n"
)

// TestEveryCommandAboutAnIstiodOfHelmIsAdmittedAndCures pastes the commands of messages about istiods that Helm has installed into a shell, as they are
// printed: the chart comes from a repository called istio. It begins with the consoles of docs/install.md. No command of istioctl has all its words: its revision is the user's to choose.
func TestEveryCommandAboutAnIstiodOfHelmIsAdmittedAndCures(t *testing.T) {
	h := newHelmed(t, istioCharts(t)["newer"])
	h.repository()
	h.guard()
	replay := func(name string) {
		t.Helper()
		if _, err := transcript.Replay(t.Context(), h.Cluster, name); err != nil {
			t.Fatal(err)
		}
	}
	replay("istiod-overlaps")
	replay("istiod-apart")
	for _, test := range remediesByHelm() {
		t.Run(test.name, func(t *testing.T) {
			h := &helmed{h.Cluster, t, h.chart}
			ways := h.told(&test)
			if len(ways) < len(test.commands) || len(ways) == 0 {
				t.Fatalf("it prints %q", ways)
			}
			for i, way := range ways {
				if i < len(test.commands) && !strings.HasPrefix(way.commands[0], test.commands[i]) {
					t.Errorf("command %d is %q, want %q", i, way.commands[0], test.commands[i])
				}
				if i > 0 { // the state is new already for the first
					h.told(&test)
				}
				for _, command := range way.commands {
					if out, err := h.run("", "sh", "-c", command); err != nil {
						t.Fatalf("%s:\n%s\n%v: %s", way.label, command, err, out)
					}
				}
				h.cured(&test, way)
			}
		})
	}
}

// way is a way out of a message.
type way struct {
	label    string
	commands []string
}

// repository serves the chart as Istio does.
func (h *helmed) repository() {
	h.t.Helper()
	dir := h.t.TempDir()
	h.command("helm package " + h.chart + " --version " + istioVersion + " --app-version " + istioVersion + " --destination " + dir)
	h.command("helm repo index " + dir)
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	h.t.Cleanup(server.Close)
	h.command("helm repo add istio " + server.URL)
	h.chart = filepath.Join(dir, "istiod-"+istioVersion+".tgz")
}

func (h *helmed) command(line string) string {
	h.t.Helper()
	out, err := h.run("", "sh", "-c", line)
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return out
}

// exempt has meshfence judge nothing that Helm or kubectl does.
func exempt(program string) string {
	if program == "helm" {
		return " --kube-as-user system:kube-controller-manager --kube-as-group system:masters"
	}
	return " --as system:kube-controller-manager --as-group system:masters"
}

// told brings the state about and returns the commands that the message prints.
func (h *helmed) told(test *mended) []way {
	h.t.Helper()
	h.clean()
	for _, n := range []string{"1", "2"} {
		h.command("kubectl create namespace usergroup-" + n)
		h.command("kubectl label namespace usergroup-" + n + " usergroup=usergroup-" + n)
	}
	for _, r := range test.releases {
		if out, err := h.helmed(r.command+exempt("helm"), r.namespace, r.values); err != nil {
			h.t.Fatalf("%v: %s", err, out)
		}
	}
	for name, labels := range test.labels {
		h.command("kubectl create namespace " + name)
		h.eventually("label namespace " + name + " " + labels)
	}
	out, err := h.try(test)
	if test.then.command != "" && err == nil {
		h.t.Fatalf("it was admitted: %s", out)
	}
	h.uninstall(test)
	if !strings.Contains(out, test.code+" ") {
		h.t.Fatalf("it does not say %s:\n%s", test.code, out)
	}
	return waysIn(out, test.code)
}

// try does what is refused, or looks at what there is.
func (h *helmed) try(test *mended) (string, error) {
	h.t.Helper()
	switch command := test.then.command; {
	case command == "":
		return h.meshfence("check"), nil
	case command == "apply":
		return h.run(test.then.values, "kubectl", "apply", "-f", "-")
	case strings.HasPrefix(command, "kubectl "):
		return h.run("", "sh", "-c", command)
	default:
		return h.helmed(command, test.then.namespace, test.then.values)
	}
}

// uninstall removes what Helm has left of a refused installation.
func (h *helmed) uninstall(test *mended) {
	h.t.Helper()
	if name, first := strings.CutPrefix(test.then.command, "install "); first {
		h.helm("uninstall "+name, test.then.namespace, "")
	}
}

// cured expects that what a way is for is gone. A way that takes the place of a change is not followed by the change.
func (h *helmed) cured(test *mended, w way) {
	h.t.Helper()
	eventually(h.t, w.label, func() error {
		if out := h.meshfence("check"); strings.Contains(out, "deny "+test.code) {
			return fmt.Errorf("after %s:\n%s", w.commands, out)
		}
		return nil
	})
	instead := strings.HasPrefix(w.label, "keep ") || strings.HasPrefix(w.label, "leave ") || strings.HasPrefix(w.label, "give it ") || strings.HasPrefix(w.label, "uninstall ")
	if test.then.command == "" || instead {
		return
	}
	if out, err := h.try(test); err != nil {
		h.t.Errorf("after %q (%s) it is still refused:\n%s", w.commands, w.label, out)
	}
}

// clean removes all releases, Istios and namespaces of a test.
func (h *helmed) clean() {
	h.t.Helper()
	h.command("kubectl delete istios.sailoperator.io --all" + exempt("kubectl"))
	for _, n := range []string{"1", "2"} {
		_, _ = h.helmed("uninstall istiod-"+n+exempt("helm"), "usergroup-"+n, "") // there may be none
	}
	h.command("kubectl delete configmaps --all-namespaces --selector istio.io/rev" + exempt("kubectl"))
	var all corev1.NamespaceList
	if err := h.Client.List(h.t.Context(), &all); err != nil {
		h.t.Fatal(err)
	}
	for i := range all.Items {
		if ns := &all.Items[i]; strings.HasPrefix(ns.Name, "usergroup-") || ns.Name == "shop" || ns.Name == "app-ns-1" {
			h.finalize(ns)
		}
	}
}

// finalize deletes a namespace: no controller does it here.
func (h *helmed) finalize(ns *corev1.Namespace) {
	h.t.Helper()
	h.command("kubectl delete secrets --all --namespace " + ns.Name)
	h.command("kubectl delete namespace " + ns.Name + " --wait=false" + exempt("kubectl"))
	err := h.Client.Get(h.t.Context(), client.ObjectKeyFromObject(ns), ns)
	if apierrors.IsNotFound(err) {
		return
	}
	if err == nil {
		ns.Spec.Finalizers = nil
		err = h.Client.SubResource("finalize").Update(h.t.Context(), ns)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

var (
	inOneLine = regexp.MustCompile(`^\s+(.*?):  ((?:helm|kubectl|istioctl) .*)$`)
	inLines   = regexp.MustCompile(`^\s+((?:helm|kubectl|istioctl) .*)$`)
	heading   = regexp.MustCompile(`^\s+(.*):$`)
	finding   = regexp.MustCompile(`\b(MF\d\d\d) `)
)

// waysIn are the commands in a message, of findings of a rule.
func waysIn(text, code string) []way {
	var all []way
	of, label := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if at := finding.FindStringSubmatch(line); at != nil {
			of = at[1]
		}
		if of != code {
			continue
		}
		if at := inOneLine.FindStringSubmatch(line); at != nil {
			all = append(all, way{at[1], []string{at[2]}})
			label = ""
		} else if at := heading.FindStringSubmatch(line); at != nil {
			label = at[1]
			all = append(all, way{label: label})
		} else if at := inLines.FindStringSubmatch(line); at != nil && label != "" {
			all[len(all)-1].commands = append(all[len(all)-1].commands, at[1])
		}
	}
	return slices.DeleteFunc(all, func(w way) bool { return len(w.commands) == 0 })
}
