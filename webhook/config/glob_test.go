package config_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/config"
)

func TestGlobsMatch(t *testing.T) {
	for _, test := range []struct {
		globs config.Globs
		name  string
		want  bool
	}{
		{nil, "a", false},
		{config.Globs{}, "", false},
		{config.Globs{"kube-*", "openshift-*"}, "openshift-ingress", true},
		{config.Globs{"kube-*", "openshift-*"}, "openshift", false},
		{config.Globs{"kube-*"}, "my-kube-system", false},
		{config.Globs{"istio-system*"}, "istio-system", true},
		{config.Globs{"system:apiserver"}, "system:apiserver", true},
		{config.Globs{"system:apiserver"}, "system:apiserver2", false},
		{config.Globs{"https://*#admin"}, "https://issuer.example/realms/a#admin", true},
		{config.Globs{"a?c"}, "abc", false},
		{config.Globs{"a?c"}, "a?c", true},
		{config.Globs{`[a-c]\`}, "a", false},
		{config.Globs{"*"}, "", true},
		{config.Globs{"a*a"}, "a", false},
	} {
		t.Run(fmt.Sprintf("%q matches %q", test.globs, test.name), func(t *testing.T) {
			if got := test.globs.Match(test.name); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// While a name is still to be generated, only its beginning is known.
func TestGlobsMatchAll(t *testing.T) {
	for _, test := range []struct {
		globs  config.Globs
		prefix string
		want   bool
	}{
		{nil, "a", false},
		{config.Globs{"openshift", "openshift-*"}, "openshift-must-gather-", true},
		{config.Globs{"openshift", "openshift-*"}, "openshift-", true},
		{config.Globs{"openshift", "openshift-*"}, "openshift", false},
		{config.Globs{"kube-system"}, "kube-system", false},
		{config.Globs{"*-sandbox"}, "a-sandbox", false},
		{config.Globs{"*-sandbox-*"}, "a-sandbox-", true},
		{config.Globs{"*"}, "", true},
	} {
		t.Run(fmt.Sprintf("%q matches all that begins with %q", test.globs, test.prefix), func(t *testing.T) {
			if got := test.globs.MatchAll(test.prefix); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// FuzzGlob compares with a regular expression that says the same.
func FuzzGlob(f *testing.F) {
	f.Add("a*b*c", "aXbXbc")
	f.Add("*ab", "aab")
	f.Add("a**a", "aa")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		oracle, err := regexp.Compile(`(?s)\A` + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`) + `\z`)
		if err != nil || strings.ToValidUTF8(name, "") != name {
			return // Not UTF-8: regular expressions do not compare such text by bytes.
		}
		if got, want := (config.Globs{pattern}).Match(name), oracle.MatchString(name); got != want {
			t.Errorf("%q matches %q: got %t, want %t", pattern, name, got, want)
		}
	})
}
