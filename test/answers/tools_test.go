package answers

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// tools changes a namespace at random with what people and GitOps tools use, and a manifest that never has istio.io/rev. All that it
// asks for is right without that label, so nothing may be refused, and the label must be what a new namespace would get, or absent.
// webhook/policy does the same in many clusters, against a model of the tools.
func (s *suite) tools(t *testing.T) {
	s.start(t, "")
	const sequences, steps = 3, 12
	random, dir := rand.New(rand.NewPCG(1, 2)), t.TempDir()
	for range sequences {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
		must(t, s.Client.Create(t.Context(), ns))
		var story []string
		filled := 0
		for range steps {
			wanted := randomLabels(random)
			args := s.command(t, random, dir, ns, wanted)
			story = append(story, strings.Join(args, " "))
			if _, stderr, err := s.RunKubectl(t.Context(), dir, args...); err != nil {
				t.Fatalf("refused, with the manifest's labels %v: %s\n%s", wanted, stderr, strings.Join(story, "\n"))
			}
			must(t, s.Client.Get(t.Context(), client.ObjectKeyFromObject(ns), ns))
			revision, present := ns.Labels["istio.io/rev"]
			if fresh := freshRevision(ns.Labels); present && revision != fresh {
				t.Fatalf("the labels are %v, a new namespace would have %q\n%s", ns.Labels, fresh, strings.Join(story, "\n"))
			}
			if present {
				filled++
			}
		}
		if filled == 0 {
			t.Errorf("never filled in, so this shows nothing:\n%s", strings.Join(story, "\n"))
		}
	}
}

// freshRevision is what a new namespace with these labels would get, in the suite's cluster.
func freshRevision(labels map[string]string) string {
	for _, key := range []string{"istio-injection", "istio.io/dataplane-mode"} {
		if _, present := labels[key]; present {
			return ""
		}
	}
	return labels["istio-discovery"]
}

// randomLabels are those of a manifest.
func randomLabels(random *rand.Rand) map[string]string {
	labels := map[string]string{"team": []string{"a", "b"}[random.IntN(2)]}
	if random.IntN(4) > 0 {
		labels["istio-discovery"] = []string{"mesh-1", "mesh-2"}[random.IntN(2)]
	}
	switch random.IntN(12) {
	case 0:
		labels["istio-injection"] = "disabled"
	case 1:
		labels["istio-injection"] = "enabled"
	case 2:
		labels["istio.io/dataplane-mode"] = "ambient"
	}
	return labels
}

// command is what a random tool does to bring the manifest's labels to the namespace.
func (s *suite) command(t *testing.T, random *rand.Rand, dir string, ns *corev1.Namespace, wanted map[string]string) []string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": ns.Name, "labels": wanted},
	})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "manifest.json"), text, 0o600))
	serverSide := []string{"apply", "--server-side", "--force-conflicts", "-f", "manifest.json"}
	switch random.IntN(8) {
	case 0:
		return append([]string{"label", "--overwrite", "namespace", ns.Name}, labelArguments(ns.Labels, wanted)...)
	case 1:
		return []string{"patch", "namespace", ns.Name, "--type=merge", "-p", string(text)}
	case 2:
		return []string{"replace", "-f", "manifest.json"} // Argo CD with Replace=true, too
	case 3:
		return []string{"apply", "-f", "manifest.json"}
	case 4:
		return []string{"apply", "--field-manager=argocd-controller", "-f", "manifest.json"}
	case 5:
		return append(serverSide, "--field-manager=argocd-controller")
	case 6:
		return append(serverSide, "--field-manager=kustomize-controller") // Flux
	default:
		return serverSide
	}
}

// labelArguments bring the labels that a person knows of to what the manifest says.
func labelArguments(stored, wanted map[string]string) []string {
	var arguments []string
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		arguments = append(arguments, key+"="+wanted[key])
	}
	for _, key := range []string{"istio-discovery", "istio-injection", "istio.io/dataplane-mode"} {
		_, present := stored[key]
		if _, kept := wanted[key]; present && !kept {
			arguments = append(arguments, key+"-")
		}
	}
	return arguments
}
