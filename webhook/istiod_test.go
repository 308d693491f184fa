package webhook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/istiod"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// meshConfig is the ConfigMap of an istiod in namespace plane; edits change it.
func meshConfig(name, text string, edits ...func(metadata, object map[string]any)) string {
	metadata := map[string]any{"name": name, "namespace": "plane", "uid": "u", "resourceVersion": "1", "labels": map[string]any{"istio.io/rev": strings.TrimPrefix(name, "istio-")}}
	object := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": map[string]any{"mesh": text}}
	for _, edit := range edits {
		edit(metadata, object)
	}
	raw, _ := json.Marshal(object)
	return string(raw)
}

// istiodRequest is a CREATE, an UPDATE, or a DELETE if there is no object.
func istiodRequest(object, old string) request {
	r := request{path: webhook.PathValidateIstiod, name: "istio-a", namespace: "plane", object: object, old: old}
	if object == "" {
		r.operation = admissionv1.Delete
	}
	return r
}

// withIstiods are two meshes of the Sail operator beside those of some ConfigMaps.
func withIstiods(t *testing.T, configMaps ...string) *cluster {
	t.Helper()
	c := twoMeshes(t)
	var parts istiod.Objects
	for _, text := range configMaps {
		part, err := istiod.Decode(istiod.KindConfigMap, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		parts.Add(part)
	}
	c.objects = c.objects.WithParts(parts)
	c.namespaces = append(c.namespaces, mesh.Namespace{Name: "plane", Labels: map[string]string{"istio-discovery": "plane"}}, mesh.Namespace{Name: "leaving", Deleting: true})
	return c
}

func TestAMeshConfigurationIsJudged(t *testing.T) {
	const right = "discoverySelectors: [{matchLabels: {istio-discovery: plane}}]"
	stored := meshConfig("istio-a", right)
	label := func(key, value string) func(metadata, object map[string]any) {
		return func(metadata, _ map[string]any) { metadata["labels"].(map[string]any)[key] = value }
	}
	owned := func(metadata, _ map[string]any) {
		metadata["ownerReferences"] = []any{map[string]any{"apiVersion": "sailoperator.io/v1", "kind": "IstioRevision", "name": "a", "uid": "x"}}
	}
	binary := func(_, object map[string]any) {
		delete(object, "data")
		object["binaryData"] = map[string]any{"mesh": "eA=="}
	}
	many := make([]string, 10000)
	for i := range many {
		many[i] = fmt.Sprintf("{matchLabels: {istio-discovery: n%d}}", i)
	}
	many[0] = "{matchLabels: {istio-discovery: plane}}"
	for name, test := range map[string]struct {
		request request
		answer  string
	}{
		"right":                           {istiodRequest(meshConfig("istio-a", right), ""), "allow"},
		"an overlap":                      {istiodRequest(meshConfig("istio-a", "discoverySelectors: [{matchLabels: {istio-discovery: mesh-1}}]"), ""), "deny MF103"},
		"everything":                      {istiodRequest(meshConfig("istio-a", "{}"), stored), "deny MF102"},
		"no YAML":                         {istiodRequest(meshConfig("istio-a", "a: ["), stored), "deny MF101"},
		"of another type":                 {istiodRequest(meshConfig("istio-a", "discoverySelectors: all"), stored), "deny MF101"},
		"in binaryData":                   {istiodRequest(meshConfig("istio-a", "", binary), stored), "deny MF101"},
		"10,000 selectors":                {istiodRequest(meshConfig("istio-a", "discoverySelectors: ["+strings.Join(many, ", ")+"]"), ""), "allow"},
		"a text of a megabyte":            {istiodRequest(meshConfig("istio-a", right+"\n#"+strings.Repeat("x", 1<<20)), ""), "allow"},
		"a label that lies":               {istiodRequest(meshConfig("istio-a", "discoverySelectors: [{matchLabels: {istio-discovery: mesh-1}}]", label("istio.io/rev", "b")), ""), "deny MF103"},
		"one of a revision that is taken": {istiodRequest(meshConfig("istio-mesh-1", right), ""), "deny MF106"},
		"immutable":                       {istiodRequest(meshConfig("istio-a", right, func(_, o map[string]any) { o["immutable"] = true }), ""), "allow"},
		"nothing changes":                 {istiodRequest(stored, stored), "allow"},
		"the Sail operator's":             {istiodRequest(meshConfig("istio-a", "{}", owned), ""), "allow"},
		"its library's":                   {istiodRequest(meshConfig("istio-a", "{}", label("managed-by", "sail-library")), ""), "allow"},
		"Service Mesh 2":                  {istiodRequest(meshConfig("istio-a", "{}", label("maistra-version", "2.6.0")), ""), "allow"},
		"the injector's":                  {istiodRequest(meshConfig("istio-sidecar-injector-a", "{}", label("istio.io/rev", "a"), func(_, o map[string]any) { o["data"] = map[string]any{"values": "{"} }), ""), "allow"},
		"deleted while it runs":           {istiodRequest("", stored), "deny MF116"},
		"unlabelled while it runs":        {istiodRequest(meshConfig("istio-a", right, func(m, _ map[string]any) { delete(m, "labels") }), stored), "deny MF116"},
	} {
		t.Run(name, func(t *testing.T) {
			c := withIstiods(t, stored)
			if test.request.old == "" {
				c = withIstiods(t)
			}
			c.running = []string{"plane"}
			if got := said(serve(t, c).ask(t, test.request)); got != test.answer {
				t.Errorf("%s, want %s", got, test.answer)
			}
		})
	}
}

func TestAMeshConfigurationThatNothingReadsMayGo(t *testing.T) {
	stored := meshConfig("istio-a", "discoverySelectors: [{matchLabels: {istio-discovery: plane}}]")
	if got := said(serve(t, withIstiods(t, stored)).ask(t, istiodRequest("", stored))); got != "allow" {
		t.Errorf("no istiod runs: %s", got)
	}
	c := withIstiods(t, stored)
	c.running = []string{"plane"}
	for i := range c.namespaces {
		c.namespaces[i].Deleting = true
	}
	if got := said(serve(t, c).ask(t, istiodRequest("", stored))); got != "allow" {
		t.Errorf("its namespace is being deleted: %s", got)
	}
}

// Two ConfigMaps in different namespaces can claim one revision; each is a mesh, and the second is refused.
func TestTwoIstiodsCannotHaveOneRevision(t *testing.T) {
	other := strings.ReplaceAll(meshConfig("istio-a", "discoverySelectors: [{matchLabels: {istio-discovery: other}}]"), `"namespace":"plane"`, `"namespace":"elsewhere"`)
	if got := said(serve(t, withIstiods(t, other)).ask(t, istiodRequest(meshConfig("istio-a", "discoverySelectors: [{matchLabels: {istio-discovery: plane}}]"), ""))); got != "deny MF106" {
		t.Error(got)
	}
}

// A user of one namespace makes no mesh of it.
func TestAMeshIsMadeByUsersWhoMayInstallOne(t *testing.T) {
	right := istiodRequest(meshConfig("istio-a", "discoverySelectors: [{matchLabels: {istio-discovery: plane}}]"), "")
	ask := func(change func(*cluster)) string {
		c := withIstiods(t)
		c.tenant = true
		change(c)
		return said(serve(t, c).ask(t, right))
	}
	installing := func(allowed bool, err error) func(authorizationv1.SubjectAccessReviewSpec) (bool, error) {
		return func(review authorizationv1.SubjectAccessReviewSpec) (bool, error) {
			what := review.ResourceAttributes
			return allowed && what.Verb == "install" && what.Group == "meshfence.io" && what.Resource == "istiods" && what.Name == "plane", err
		}
	}
	for name, test := range map[string]struct {
		change  func(*cluster)
		refused bool
	}{
		"without the right":            {func(*cluster) {}, true},
		"with the right":               {func(c *cluster) { c.allow = installing(true, nil) }, false},
		"if the right cannot be asked": {func(c *cluster) { c.allow = installing(false, errors.New("no")) }, true},
		"where there are webhooks": {func(c *cluster) {
			c.objects = c.objects.WithParts(istiod.Objects{Injectors: []*istiod.Injector{{Service: "plane"}}})
		}, false},
		"where there are others' alone": {func(c *cluster) {
			c.objects = c.objects.WithParts(istiod.Objects{Injectors: []*istiod.Injector{{Service: "other"}}})
		}, true},
	} {
		if got := ask(test.change); strings.Contains(got, "MF121 NotAllowedToInstall") != test.refused {
			t.Errorf("%s: %s", name, got)
		}
	}
}
