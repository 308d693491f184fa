package audit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/test/harness"
	"github.com/meshfence/meshfence/test/harness/transcript"
)

const operations = "docs/operations.md"

// The consoles of docs/operations.md print what they show, each in the situation that its alert is about, and what they do repairs it.
func TestOperations(t *testing.T) {
	s := newSuite(t)
	must(t, s.InstallWorkload(t.Context()))
	s.guide(t)
	env := s.plugin(t)
	replayed := map[string]bool{}
	replay := func(names ...string) {
		t.Helper()
		for _, name := range names {
			replayed[name] = true
			if _, err := transcript.ReplayIn(t.Context(), operations, name, t.TempDir(), env); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	selectors := func(list string) {
		s.kubectl(t, "patch", "istios.sailoperator.io", "mesh-2", "--type=merge", "--patch", `{"spec":{"values":{"meshConfig":{"discoverySelectors":`+list+`}}}}`)
	}
	repaired := func(code string) {
		t.Helper()
		s.operateAgain(t)
		if out := s.kubectl(t, "meshfence", "check", "--fail-on", "never"); strings.Contains(out, code) {
			t.Errorf("%s is still there:\n%s", code, out)
		}
	}

	replay("mtls")
	selectors(`[{"matchLabels":{"istio-discovery":"mesh-1"}}]`)
	replay("overlap", "overlap-mend")
	repaired("MF103")
	selectors(`[{"matchExpressions":[{"key":"istio-discovery","operator":"Near","values":["mesh-2"]}]}]`)
	replay("invalid", "invalid-mend")
	repaired("MF101")
	s.kubectl(t, "label", "namespace", "app-mesh-1", "istio.io/rev=mesh-2", "--overwrite")
	replay("mismatched")
	repaired("MF202")
	must(t, s.Client.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "app-mesh-1", Name: "shop", Labels: map[string]string{"service.istio.io/canonical-name": "shop"}, Annotations: map[string]string{"istio.io/rev": "mesh-2"},
		},
		Spec: corev1.PodSpec{ServiceAccountName: "default", Containers: []corev1.Container{{Name: "shop", Image: "shop"}}},
	}))
	replay("pods")
	s.kubectl(t, "delete", "pod", "shop", "--namespace", "app-mesh-1", "--now")
	s.kubectl(t, "delete", "configmap", "istio-ca-root-cert", "--namespace", "app-mesh-1")
	replay("root")
	repaired("MF907")

	_, err := s.StartMeshfence(t.Context(), flags())
	must(t, err)
	must(t, s.InstallWebhooks(t.Context()))
	s.kubectl(t, "label", "namespace", "app-mesh-1", "team=a", "istio-discovery=mesh-1")
	replay("fails-open", "slow", "stale", "rights", "violations", "certificate", "down", "emergency")

	all, err := transcript.Read(operations)
	must(t, err)
	for _, one := range all {
		if !replayed[one.Name] {
			t.Errorf("%s is not replayed", one.Name)
		}
	}
}

// plugin is the environment of a person who has kubectl meshfence.
func (s *suite) plugin(t *testing.T) []string {
	t.Helper()
	root, err := harness.Root()
	must(t, err)
	folder := t.TempDir()
	must(t, os.Symlink(filepath.Join(root, "bin", "meshfence"), filepath.Join(folder, "kubectl-meshfence")))
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	env, err := s.UserEnv()
	must(t, err)
	for i, variable := range env {
		if path, ok := strings.CutPrefix(variable, "PATH="); ok {
			env[i] = "PATH=" + folder + string(os.PathListSeparator) + path
		}
	}
	return env
}
