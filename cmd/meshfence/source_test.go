package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/meshfence/meshfence/webhook/config"
)

func parsedSource(t *testing.T, args ...string) *source {
	t.Helper()
	s, flags := newSource(), pflag.NewFlagSet("test", pflag.ContinueOnError)
	s.addFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRulesOfTheCommandLineGoBeforeThoseOfTheFile(t *testing.T) {
	file := writeFile(t, "config.yaml", "apiVersion: meshfence.io/v1alpha1\nkind: Configuration\nrules: {MF110: off, MF104: off}\n")
	c, err := parsedSource(t, "--config", file, "--rules", "MF104=deny,MF202=warn").configuration()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]config.Action{"MF110": config.ActionOff, "MF104": config.ActionDeny, "MF202": config.ActionWarn}
	if diff := cmp.Diff(want, c.Rules); diff != "" {
		t.Error(diff)
	}
}

func TestAWrongRuleOfTheCommandLineIsExplained(t *testing.T) {
	for _, test := range []struct{ rules, want string }{
		{"MF999=off", `--rules: rules[MF999]: Invalid value: there is no rule with this code; did you mean "MF909"?`},
		{"MF104=maybe", `--rules: rules[MF104]: Unsupported value: "maybe": supported values: "deny", "warn", "off"`},
	} {
		_, err := parsedSource(t, "--rules", test.rules).configuration()
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: %v, want %s", test.rules, err, test.want)
		}
	}
}

// The flags of kubectl choose the cluster, as people are used to.
func TestTheClusterIsChosenAsByKubectl(t *testing.T) {
	kubeconfig := writeFile(t, "kubeconfig", `
apiVersion: v1
kind: Config
current-context: one
clusters: [{name: one, cluster: {server: 'https://one.example'}}, {name: two, cluster: {server: 'https://two.example'}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: one, context: {cluster: one, user: u}}, {name: two, context: {cluster: two, user: u}}]
`)
	for _, test := range []struct {
		args []string
		host string
	}{
		{[]string{"--kubeconfig", kubeconfig}, "https://one.example"},
		{[]string{"--kubeconfig", kubeconfig, "--context", "two"}, "https://two.example"},
		{[]string{"--kubeconfig", kubeconfig, "--server", "https://three.example", "--as", "someone", "--request-timeout", "3s"}, "https://three.example"},
	} {
		api, err := parsedSource(t, test.args...).apiConfig()
		if err != nil || api.Host != test.host {
			t.Errorf("%v: %v, %v", test.args, api, err)
		}
	}
}

// writeFile writes a file into a folder of the test, and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
