package webhook_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	crwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
)

// reconfigurable is a server, and what it judges by.
func reconfigurable(t *testing.T, c *cluster) (*server, *webhook.Rulebook) {
	t.Helper()
	s := &server{registry: prometheus.NewRegistry(), log: &lines{}}
	mux := http.NewServeMux()
	book, err := webhook.Register(crwebhook.NewServer(crwebhook.Options{WebhookMux: mux}), c, config.Default(), s.registry, s.log.logger())
	if err != nil {
		t.Fatal(err)
	}
	s.handler = mux
	listening := httptest.NewServer(mux)
	t.Cleanup(listening.Close)
	s.url = listening.URL
	return s, book
}

func with(change func(*config.Configuration)) *config.Configuration {
	c := config.Default()
	change(c)
	return c
}

// outcome is an answer in one word.
func outcome(r *admissionv1.AdmissionResponse) string {
	switch {
	case !r.Allowed:
		return "deny"
	case len(r.Patch) > 0:
		return "fill"
	case len(r.Warnings) > 0:
		return "warn"
	default:
		return "allow"
	}
}

// reconfiguration is a request that is answered with before by the default configuration, and with after by a changed one.
type reconfiguration struct {
	request       request
	change        func(*config.Configuration)
	before, after string
}

// reconfigurations change one field each.
func reconfigurations() map[string]reconfiguration {
	crossing := namespaceRequest("blog", crossed, "")
	crossing.user = "alice"
	overlapping := istioRequest("mesh-3", selecting("istio-system-3", "istio-discovery", "mesh-1"), "")
	forgotten := fillRequest("{name: blog, labels: {istio-discovery: mesh-1}}", "")
	byTeam := fillRequest("{name: blog, labels: {team: mesh-4}}", "")
	return map[string]reconfiguration{
		"mode, a namespace":        {crossing, func(c *config.Configuration) { c.Mode = config.ModeWarn }, "deny", "warn"},
		"mode, a mesh":             {overlapping, func(c *config.Configuration) { c.Mode = config.ModeWarn }, "deny", "warn"},
		"rules":                    {crossing, func(c *config.Configuration) { c.Rules["MF202"] = config.ActionOff }, "deny", "allow"},
		"exemptNamespaces":         {crossing, func(c *config.Configuration) { c.ExemptNamespaces = config.Globs{"b*"} }, "deny", "allow"},
		"exemptNamespaces, a fill": {forgotten, func(c *config.Configuration) { c.ExemptNamespaces = config.Globs{"b*"} }, "fill", "allow"},
		"exemptUsers, a namespace": {crossing, func(c *config.Configuration) { c.ExemptUsers = config.Globs{"*ice"} }, "deny", "allow"},
		"exemptUsers, a mesh":      {overlapping, func(c *config.Configuration) { c.ExemptUsers = config.Globs{"*"} }, "deny", "allow"},
		"controlPlaneNamespaces":   {forgotten, func(c *config.Configuration) { c.ControlPlaneNamespaces = config.Globs{"blog"} }, "fill", "allow"},
		"fillFrom":                 {forgotten, func(c *config.Configuration) { c.FillFrom = nil }, "fill", "allow"},
		"meshMap":                  {mapRequest("mesh-map", "mesh-1=", ""), func(c *config.Configuration) { c.MeshMap.Name = "revisions" }, "deny", "allow"},
		"discoveryLabels":          {byTeam, func(c *config.Configuration) { c.DiscoveryLabels = []string{"team"} }, "allow", "fill"},
	}
}

func meshesAndMap(t *testing.T) *cluster {
	t.Helper()
	c := twoMeshes(t)
	c.objects.Map = map[string]string{"mesh-4": "mesh-4"}
	return c
}

func TestAReplacedRulebookCountsFromTheNextRequestOn(t *testing.T) {
	for name, test := range reconfigurations() {
		t.Run(name, func(t *testing.T) {
			s, book := reconfigurable(t, meshesAndMap(t))
			for _, step := range []struct {
				configuration *config.Configuration
				want          string
			}{{nil, test.before}, {with(test.change), test.after}, {config.Default(), test.before}} {
				if step.configuration != nil {
					book.Replace(step.configuration)
				}
				if got := s.ask(t, test.request); outcome(got) != step.want {
					t.Errorf("got %s, want %s: %+v", outcome(got), step.want, got)
				}
			}
		})
	}
}

// The replacement comes while the handler asks what the cluster holds: after it has looked at one part of its configuration,
// and before it looks at another.
func TestARequestIsJudgedByTheConfigurationThatItBeganWith(t *testing.T) {
	for name, test := range reconfigurations() {
		t.Run(name, func(t *testing.T) {
			c := meshesAndMap(t)
			s, book := reconfigurable(t, c)
			replacements := 0
			replace := func() {
				replacements++
				book.Replace(with(test.change))
			}
			c.fleet = replace
			c.live = func() error {
				replace()
				return nil
			}
			if got := s.ask(t, test.request); outcome(got) != test.before || replacements == 0 {
				t.Errorf("got %s after %d replacements, want %s: %+v", outcome(got), replacements, test.before, got)
			}
			if got := s.ask(t, test.request); outcome(got) != test.after {
				t.Errorf("the next request: got %s, want %s: %+v", outcome(got), test.after, got)
			}
		})
	}
}

func TestRequestsAndReplacementsAtTheSameTime(t *testing.T) {
	s, book := reconfigurable(t, meshesAndMap(t))
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			book.Replace(with(func(c *config.Configuration) { c.Mode = config.ModeWarn }))
			book.Replace(config.Default())
		}
	})
	for range 50 {
		if got := outcome(s.ask(t, namespaceRequest("blog", crossed, ""))); got != "deny" && got != "warn" {
			t.Errorf("got %s", got)
		}
	}
	stop()
	group.Wait()
}
