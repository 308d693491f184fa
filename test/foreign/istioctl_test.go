package foreign

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"istio.io/istio/istioctl/pkg/cli"
	"istio.io/istio/istioctl/pkg/tag"
)

// istioctl runs a command of istioctl as it is typed, with istioctl's own code.
func (h *helmed) istioctl(line string) (string, error) {
	h.t.Helper()
	root := &cobra.Command{Use: "istioctl", SilenceUsage: true}
	flags := cli.AddRootFlags(root.PersistentFlags())
	root.AddCommand(tag.TagCommand(cli.NewCLIContext(flags)))
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append(strings.Fields(line)[1:], "--kubeconfig", h.Kubeconfig))
	err := root.ExecuteContext(h.t.Context())
	return out.String(), err
}

// A tag that istioctl made is known like any other. Once its revision is uninstalled meshfence check says so, and the command that it prints is istioctl's.
func TestATagOfIstioctl(t *testing.T) {
	h := newHelmed(t, istioCharts(t)["newer"])
	h.guard()
	h.kubectl("create namespace usergroup-1")
	h.kubectl("create namespace shop")
	h.helm("install istiod-1", "usergroup-1", selecting("usergroup-1", "usergroup-1"))
	if out, err := h.istioctl("istioctl tag set stable --revision usergroup-1 --istioNamespace usergroup-1"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.says(h.eventually("label namespace shop usergroup=usergroup-1 istio.io/rev=stable"), "labeled")
	h.helm("install istiod-1-canary", "usergroup-1", selecting("canary", "usergroup-1"))
	h.helm("uninstall istiod-1", "usergroup-1", "")

	text := h.meshfence("check")
	printed := regexp.MustCompile(`istioctl tag set .*`).FindString(text)
	if !strings.Contains(text, "MF911 TagWithoutRevision") || printed == "" {
		t.Fatalf("check does not name the tag:\n%s", text)
	}
	if out, err := h.istioctl(strings.ReplaceAll(printed, "REVISION", "canary")); err != nil {
		t.Fatalf("%s: %v\n%s", printed, err, out)
	}
	if text := h.meshfence("check"); strings.Contains(text, "MF911") {
		t.Errorf("%s has not helped:\n%s", printed, text)
	}
}
