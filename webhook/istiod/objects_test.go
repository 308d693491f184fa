package istiod_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/webhook/istiod"
	"github.com/meshfence/meshfence/webhook/sail"
)

// objects reads YAML documents as they would be listed.
func objects(t *testing.T, text string) *istiod.Objects {
	t.Helper()
	all := &istiod.Objects{}
	for document := range strings.SplitSeq(text, "\n---\n") {
		raw, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		var head struct {
			Kind string `json:"kind"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			t.Fatal(err)
		}
		part, err := istiod.Decode(head.Kind, raw)
		if err != nil {
			t.Fatal(err)
		}
		if part != nil {
			all.Add(part)
		}
	}
	return all
}

// shown is what is read of an istiod, in a line.
func shown(cp *sail.ControlPlane) string {
	in := cp.Installed
	text := fmt.Sprintf("%s revision=%s", cp.Metadata.Name, in.Revision)
	add := func(name string, value any, absent any) {
		if value != absent {
			text += fmt.Sprintf(" %s=%v", name, value)
		}
	}
	add("by", in.By, "")
	add("release", in.Release, "")
	add("version", cp.Spec.Version, "")
	add("noConfig", in.NoConfig, false)
	add("notHere", in.NotHere, false)
	add("byDefault", in.ByDefault, false)
	add("selectors", len(cp.Spec.Values.MeshConfig.DiscoverySelectors), 0)
	add("bundle", cp.Spec.Values.Global.TrustBundleName, "")
	add("external", cp.Spec.Values.Pilot.Env.ExternalIstiod, "")
	if cp.Malformed != nil {
		text += " malformed"
	}
	return text
}

const (
	configMap   = "{kind: ConfigMap, metadata: {name: istio-a, namespace: plane, labels: {istio.io/rev: a%s}%s}, data: {mesh: '%s'}}"
	webhooks    = "\n---\n{kind: MutatingWebhookConfiguration, metadata: {name: istio-sidecar-injector-a-plane, labels: {istio.io/rev: a}}, webhooks: [{clientConfig: {service: {namespace: plane}}}]}"
	deployment  = "\n---\n{kind: Deployment, metadata: {name: istiod-a, namespace: plane, labels: {app: istiod, istio.io/rev: a}}}"
	oneSelector = "discoverySelectors: [{matchLabels: {x: a}}]"
)

func TestAnIstiodIsFoundByItsObjects(t *testing.T) {
	plain := fmt.Sprintf(configMap, "", "", oneSelector)
	for name, test := range map[string]struct{ text, want string }{
		"a mesh configuration": {plain, "plane/istio-a revision=a selectors=1"},
		"the default revision": {
			"{kind: ConfigMap, metadata: {name: istio, namespace: plane, labels: {istio.io/rev: default}}, data: {mesh: ''}}", "plane/istio revision=default",
		},
		"without a namespace": {
			"{kind: ConfigMap, metadata: {name: istio, labels: {istio.io/rev: default}}, data: {mesh: ''}}", "istio-system/istio revision=default",
		},
		"by Helm": {
			fmt.Sprintf(configMap, ", app.kubernetes.io/version: 1.30.1", ", annotations: {meta.helm.sh/release-name: istiod-a}", oneSelector),
			"plane/istio-a revision=a by=Helm release=istiod-a version=v1.30.1 selectors=1",
		},
		"by istioctl": {
			fmt.Sprintf(configMap, ", operator.istio.io/version: 1.30.1", "", oneSelector), "plane/istio-a revision=a by=istioctl selectors=1",
		},
		"by the Sail library": {
			fmt.Sprintf(configMap, ", managed-by: sail-library", "", oneSelector) + webhooks, "plane/istio-a revision=a by=sail-library selectors=1",
		},
		"what is not judged, as what a tenant could label so, without webhooks": {fmt.Sprintf(configMap, ", managed-by: sail-library", "", "") + deployment, ""},
		"a Deployment that has lost its ConfigMap": {
			strings.TrimPrefix(deployment, "\n---\n") + webhooks, "plane/istio-a revision=a noConfig=true",
		},
		"by the Sail operator, whose objects say more": {
			fmt.Sprintf(configMap, "", ", ownerReferences: [{apiVersion: sailoperator.io/v1, kind: IstioRevision, name: a, uid: u}]", oneSelector) + deployment, "",
		},
		"Service Mesh 2": {fmt.Sprintf(configMap, ", maistra-version: 2.6.0", "", oneSelector), ""},
		"a label that lies about the revision: istiod goes by the name": {
			"{kind: ConfigMap, metadata: {name: istio-a, namespace: plane, labels: {istio.io/rev: b}}, data: {mesh: ''}}", "plane/istio-a revision=a",
		},
		"a ConfigMap that has lost its text": {
			"{kind: ConfigMap, metadata: {name: istio-a, namespace: plane, labels: {istio.io/rev: a}}}", "plane/istio-a revision=a noConfig=true",
		},
		"a text in binaryData, which istiod does not read": {
			"{kind: ConfigMap, metadata: {name: istio-a, namespace: plane, labels: {istio.io/rev: a}}, binaryData: {mesh: eA==}}", "plane/istio-a revision=a noConfig=true malformed",
		},
		"a text that does not parse": {fmt.Sprintf(configMap, "", "", "discoverySelectors: {"), "plane/istio-a revision=a malformed"},
		"an injector without its ConfigMap, so that no pod mounts another certificate than is written": {
			plain + "\n---\n{kind: Deployment, metadata: {name: istiod-a, namespace: plane, labels: {app: istiod, istio.io/rev: a}}, " +
				"spec: {template: {spec: {containers: [{name: discovery, env: [{name: PILOT_CA_CERT_CONFIGMAP, value: own}]}]}}}}",
			"plane/istio-a revision=a bundle=own selectors=1",
		},
		"the ConfigMap of an injector says that another program installed it, which a tenant can write": {
			plain + "\n---\n{kind: ConfigMap, metadata: {name: istio-sidecar-injector-a, namespace: plane, labels: {istio.io/rev: a, maistra-version: 2.6.0}}}", "plane/istio-a revision=a by=Service Mesh 2 selectors=1",
		},
		"so does a Deployment": {
			plain + "\n---\n{kind: Deployment, metadata: {name: istiod-a, namespace: plane, labels: {app: istiod, istio.io/rev: a}, ownerReferences: [{apiVersion: sailoperator.io/v1, kind: IstioRevision, name: a, uid: u}]}}",
			"plane/istio-a revision=a by=the Sail operator selectors=1",
		},
		"the values of an injector say that istiod is elsewhere, or writes another certificate": {
			plain + deployment + "\n---\n{kind: ConfigMap, metadata: {name: istio-sidecar-injector-a, namespace: plane, labels: {istio.io/rev: a}}, data: {values: " +
				`'{"global":{"externalIstiod":true,"resourceScope":"cluster"},"istiodRemote":{"enabled":true},"pilot":{"configMap":false,"env":{"REVISION":"b"}},"profile":"remote","meshConfig":{"discoverySelectors":[{}]}}'` + "}}",
			"plane/istio-a revision=a selectors=1",
		},
		"a Deployment alone, which a tenant can make": {strings.TrimPrefix(deployment, "\n---\n"), ""},
		"the ConfigMap of the injector alone":         {"{kind: ConfigMap, metadata: {name: istio-sidecar-injector-a, namespace: plane, labels: {istio.io/rev: a}}, data: {values: '{}'}}", ""},
		"other ConfigMaps of a revision": {
			"{kind: ConfigMap, metadata: {name: istio-a-gatewayclass-x, namespace: plane, labels: {istio.io/rev: a}}, data: {deployment: x}}\n---\n" +
				"{kind: ConfigMap, metadata: {name: values-a, namespace: plane, labels: {istio.io/rev: a}}, data: {merged-values: x}}", "",
		},
		"a ConfigMap without the label": {"{kind: ConfigMap, metadata: {name: istio, namespace: plane}, data: {mesh: ''}}", ""},
		"the values of the injector": {
			plain + "\n---\n{kind: ConfigMap, metadata: {name: istio-sidecar-injector-a, namespace: plane, labels: {istio.io/rev: a}}, data: {values: '{\"global\": {\"trustBundleName\": \"own\"}}'}}",
			"plane/istio-a revision=a selectors=1 bundle=own",
		},
		"an environment": {
			plain + "\n---\n{kind: Deployment, metadata: {name: istiod-a, namespace: plane, labels: {app: istiod, istio.io/rev: a}}, spec: {template: {spec: {containers: [{name: other, env: [{name: EXTERNAL_ISTIOD, value: 'false'}]}, {name: discovery, env: [{name: EXTERNAL_ISTIOD, value: 'true'}]}]}}}}",
			"plane/istio-a revision=a selectors=1 external=true",
		},
		"webhooks that call an istiod elsewhere": {
			"{kind: MutatingWebhookConfiguration, metadata: {name: istio-sidecar-injector-a-plane, labels: {istio.io/rev: a}}, webhooks: [{clientConfig: {url: 'https://x'}}]}",
			"plane/istio-a revision=a notHere=true noConfig=true",
		},
		"webhooks for namespaces without labels": {
			plain + "\n---\n{kind: MutatingWebhookConfiguration, metadata: {name: istio-sidecar-injector-a-plane, labels: {istio.io/rev: a}}, webhooks: [" +
				"{clientConfig: {service: {namespace: plane}}, namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: istio.io/rev, operator: DoesNotExist}]}}]}",
			"plane/istio-a revision=a byDefault=true selectors=1",
		},
		"webhooks of a tag, which make no istiod": {
			"{kind: MutatingWebhookConfiguration, metadata: {name: istio-revision-tag-prod, labels: {istio.io/rev: a, istio.io/tag: prod}}, webhooks: [{clientConfig: {service: {namespace: plane}}}]}", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, cp := range objects(t, test.text).ControlPlanes() {
				got = append(got, shown(cp))
			}
			want := sorted(test.want)
			if diff := cmp.Diff(want, sorted(strings.Join(got, "; "))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// sorted are the words of a text, whose order does not matter.
func sorted(text string) map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq(text) {
		words[word] = true
	}
	return words
}

func TestTagsOfIstiods(t *testing.T) {
	const tag = "{kind: MutatingWebhookConfiguration, metadata: {name: istio-revision-tag-prod, labels: {istio.io/rev: a, istio.io/tag: prod}%s}, webhooks: [{clientConfig: {service: {namespace: plane}}}]}"
	const service = "{kind: Service, metadata: {name: istiod-revision-tag-prod, namespace: plane, labels: {istio.io/rev: a, istio.io/tag: prod}}}"
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"webhooks":               {fmt.Sprintf(tag, ""), []string{"prod: Istiod plane/a"}},
		"webhooks and a Service": {fmt.Sprintf(tag, "") + "\n---\n" + service, []string{"prod: Istiod plane/a"}},
		"a Service beside the webhooks of its revision": {service + webhooks, []string{"prod: Istiod plane/a"}},
		"a Service alone, which a tenant can make":      {service, nil},
		"one name in two planes":                        {fmt.Sprintf(tag, "") + "\n---\n" + strings.ReplaceAll(service+webhooks, "plane", "other"), []string{"prod: Istiod plane/a", "prod: Istiod other/a"}},
		"that of an IstioRevisionTag":                   {fmt.Sprintf(tag, ", ownerReferences: [{apiVersion: sailoperator.io/v1, kind: IstioRevisionTag, name: prod, uid: u}]"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, tag := range objects(t, test.text).Tags() {
				got = append(got, tag.Metadata.Name+": "+tag.Spec.TargetRef.Kind+" "+tag.Spec.TargetRef.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnObjectTakesThePlaceOfTheOneOfItsName(t *testing.T) {
	before := objects(t, fmt.Sprintf(configMap, "", "", oneSelector))
	changed := objects(t, fmt.Sprintf(configMap, "", "", ""))
	after := before.With(&istiod.Part{ConfigMap: changed.ConfigMaps[0]})
	if n := len(after.ControlPlanes()[0].Spec.Values.MeshConfig.DiscoverySelectors); n != 0 || len(after.ConfigMaps) != 1 {
		t.Errorf("%d selectors in %d ConfigMaps", n, len(after.ConfigMaps))
	}
	if gone := after.Without(&istiod.Part{ConfigMap: changed.ConfigMaps[0]}); len(gone.ControlPlanes()) != 0 || len(after.ConfigMaps) != 1 {
		t.Error("it is still there, or its list was written")
	}
}
