package observed_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/webhook/policy"
)

var update = flag.Bool("update", false, "write the texts in testdata anew")

// now is when the cases are judged.
var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// observedCase is a cluster that differs from one in which nothing is wrong, testdata/right.yaml, and what is found in it.
type observedCase struct {
	name string
	// with are objects that are added, or replace what has their kind and name; a document that begins with "patch: " merges the rest into one that
	// is there. $ca1, $ca2 and $ca3 are root certificates in PEM, as a JSON string, and $bundle1 to $bundle3 the same in Base64.
	with string
	// without are objects that are not there, as Kind/name or Kind/namespace/name.
	without []string
	// missing are resources that could not be read.
	missing []observed.Resource
	actions policy.Actions
	exempt  string
	// want are the findings, as "warn MF901 Istio mesh-1", and what is not judged, as "MF901 not judged".
	want []string
}

// notJudged is what a table says of rules that could not be judged.
func notJudged(codes ...string) []string {
	texts := make([]string, len(codes))
	for i, code := range codes {
		texts[i] = code + " not judged"
	}
	return texts
}

// runObservedCases compares what is found with what a table says, and the texts with those in testdata/findings.
func runObservedCases(t *testing.T, cases []observedCase) {
	t.Helper()
	var golden strings.Builder
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			result := c.judge(t)
			var got []string
			fmt.Fprintf(&golden, "== %s\n", c.name)
			for _, o := range result.Findings {
				object := o.Name
				if o.Namespace != "" {
					object = o.Namespace + "/" + o.Name
				}
				got = append(got, fmt.Sprintf("%v %s %s %s", o.Action, o.Rule.Code, o.Kind, object))
				fmt.Fprintf(&golden, "%s %s: %s\n%v %s\n", o.Kind, object, o.Field, o.Action, o.Message())
			}
			for _, gap := range result.NotJudged {
				for _, code := range gap.Codes {
					got = append(got, string(code)+" not judged")
				}
			}
			if diff := cmp.Diff(strings.Join(c.want, "\n"), strings.Join(got, "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	compareGolden(t, golden.String())
}

func compareGolden(t *testing.T, got string) {
	t.Helper()
	path := filepath.Join("testdata", "findings", strings.ToLower(strings.TrimPrefix(t.Name(), "Test"))+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// judge judges the cluster of a case, in the order of its objects and in the opposite one, which must not matter.
func (c *observedCase) judge(t *testing.T) audit.Result {
	t.Helper()
	objects := c.objects(t)
	result := c.judgeObjects(t, objects)
	slices.Reverse(objects)
	again := c.judgeObjects(t, objects)
	if diff := cmp.Diff(result, again); diff != "" {
		t.Errorf("it depends on the order of the objects:\n%s", diff)
	}
	return result
}

func (c *observedCase) judgeObjects(t *testing.T, objects []object) audit.Result {
	t.Helper()
	checker := audit.Checker{
		Policy: policy.New(policy.Settings{Actions: c.actions, DiscoveryLabels: []string{"istio-discovery"}, ControlPlane: func(string) bool { return false }}),
		Scope:  audit.Scope{Namespace: "meshfence", MeshMap: "mesh-map"}, DiscoveryLabels: []string{"istio-discovery"},
		Exempt: func(namespace string) bool { return namespace == c.exempt }, Now: now,
	}
	inventory, seen := &audit.Inventory{}, &observed.Cluster{}
	for _, r := range c.missing {
		switch r {
		case observed.Meshes:
			inventory.Miss("Istio", "may not be listed")
		case observed.Namespaces:
			inventory.Miss("Namespace", "may not be listed")
		default:
			seen.Miss(r, "may not be listed")
		}
	}
	for _, o := range objects {
		if checker.Scope.Concerns(o.apiVersion, o.kind, o.namespace, o.name) {
			decoded, err := checker.Scope.Decode(o.kind, o.namespace, o.name, o.raw)
			if err != nil {
				t.Fatal(err)
			}
			if decoded.Judged() {
				inventory.Put(decoded)
			}
		}
		for _, r := range o.resources() {
			if err := seen.Add(r, o.raw); err != nil {
				t.Fatal(err)
			}
		}
	}
	return checker.Cluster(inventory, seen)
}

// object is one document of a case.
type object struct {
	apiVersion, kind, namespace, name string
	content                           map[string]any
	raw                               []byte
}

func (o *object) key() string {
	if o.namespace != "" {
		return o.kind + "/" + o.namespace + "/" + o.name
	}
	return o.kind + "/" + o.name
}

// resources are those by which the object would be listed.
func (o *object) resources() []observed.Resource {
	switch o.kind {
	case "PeerAuthentication":
		return []observed.Resource{observed.PeerAuthentications}
	case "MutatingWebhookConfiguration":
		return []observed.Resource{observed.Injectors}
	case "Pod":
		return []observed.Resource{observed.Pods}
	case "Gateway":
		return []observed.Resource{observed.Gateways}
	case "GatewayClass":
		return []observed.Resource{observed.GatewayClasses}
	case "IstioCNI":
		return []observed.Resource{observed.CNIs}
	case "ZTunnel":
		return []observed.Resource{observed.ZTunnels}
	case "Deployment":
		return []observed.Resource{observed.Istiods}
	case "ConfigMap":
		if strings.HasPrefix(o.name, "istio-ca") {
			return []observed.Resource{observed.RootCertificates}
		}
		return []observed.Resource{observed.MeshConfigs}
	default:
		return nil
	}
}

func (c *observedCase) objects(t *testing.T) []object {
	t.Helper()
	right, err := os.ReadFile("testdata/right.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := documents(t, string(right))
	for _, o := range documents(t, c.with) {
		i := slices.IndexFunc(all, func(other object) bool { return other.key() == o.key() })
		switch {
		case o.content["patch"] != nil && i < 0:
			t.Fatalf("there is no %s to patch", o.key())
		case o.content["patch"] != nil:
			delete(o.content, "patch")
			all[i] = newObject(t, merged(all[i].content, o.content).(map[string]any))
		case i < 0:
			all = append(all, o)
		case o.key() == all[i].key() && strings.HasPrefix(o.kind, "ConfigMap") && o.content["again"] != nil:
			all = append(all, o)
		default:
			all[i] = o
		}
	}
	for _, key := range c.without {
		before := len(all)
		if all = slices.DeleteFunc(all, func(o object) bool { return o.key() == key }); len(all) == before {
			t.Fatalf("there is no %s", key)
		}
	}
	return all
}

func documents(t *testing.T, text string) []object {
	t.Helper()
	for i := range 3 {
		bundle := authority(byte(i + 1))
		text = strings.ReplaceAll(text, fmt.Sprintf("$ca%d", i+1), fmt.Sprintf("%q", bundle))
		text = strings.ReplaceAll(text, fmt.Sprintf("$bundle%d", i+1), base64.StdEncoding.EncodeToString([]byte(bundle)))
	}
	var all []object
	for document := range strings.SplitSeq(text, "\n---\n") {
		content := map[string]any{}
		if err := yaml.Unmarshal([]byte(document), &content); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(content) > 0 {
			all = append(all, newObject(t, content))
		}
	}
	return all
}

func newObject(t *testing.T, content map[string]any) object {
	t.Helper()
	raw, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	meta := content["metadata"].(map[string]any)
	o := object{kind: content["kind"].(string), name: meta["name"].(string), content: content, raw: raw}
	o.apiVersion, _ = content["apiVersion"].(string)
	o.namespace, _ = meta["namespace"].(string)
	return o
}

// merged is a JSON merge patch.
func merged(to, patch any) any {
	object, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	result := map[string]any{}
	if old, ok := to.(map[string]any); ok {
		for key, value := range old {
			result[key] = value
		}
	}
	for key, value := range object {
		if value == nil {
			delete(result, key)
		} else {
			result[key] = merged(result[key], value)
		}
	}
	return result
}

// authority is the certificate of a certificate authority, always the same for a seed.
func authority(seed byte) string {
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize)))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(seed)), Subject: pkix.Name{Organization: []string{"cluster.local"}}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now, NotAfter: now.AddDate(10, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestWhereEverythingIsRightNothingIsFound(t *testing.T) {
	c := observedCase{}
	result := c.judge(t)
	for _, o := range result.Findings {
		t.Errorf("%s %s: %s", o.Kind, o.Name, o.Message())
	}
	if len(result.NotJudged) > 0 {
		t.Errorf("not judged: %v", result.NotJudged)
	}
}

// strictly and without are configurations that change one rule.
func strictly(code policy.Code) policy.Actions {
	return policy.Actions{Rules: map[policy.Code]policy.Action{code: policy.Deny}}
}

func without(code policy.Code) policy.Actions {
	return policy.Actions{Rules: map[policy.Code]policy.Action{code: policy.Off}}
}
