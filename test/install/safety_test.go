package install

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// safe is one part of a manifest that security or availability rests on.
type safe struct {
	kind, name string
	// path leads to the part: fields and indices, with / between them. "keys of PATH" compares which fields there are.
	path string
	// want is the part, in YAML.
	want string
	// why is what goes wrong otherwise.
	why string
}

const selected = `{app.kubernetes.io/name: meshfence, app.kubernetes.io/instance: meshfence}`

// always is what the chart renders whatever the values are, if they do not speak of it.
func always() []safe {
	const pod, container = "spec/template/spec", "spec/template/spec/containers/0"
	return []safe{
		{"Deployment", "meshfence", "spec/replicas", `2`, "with one, each drain of its node refuses changes of meshes"},
		{"Deployment", "meshfence", "spec/strategy", `{rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}`, "a new replica is ready before an old one goes; otherwise one that cannot start leaves a single replica, or none"},
		{"Deployment", "meshfence", "spec/selector/matchLabels", selected, "it cannot be changed later"},
		{"Deployment", "meshfence", "keys of spec/template/spec", `[containers, nodeSelector, priorityClassName, securityContext, serviceAccountName, terminationGracePeriodSeconds, topologySpreadConstraints, volumes]`, "no network or processes of the node; and the account's token, with which it reads the API server, is mounted"},
		{"Deployment", "meshfence", pod + "/serviceAccountName", `meshfence`, "the rights are bound to this one"},
		{"Deployment", "meshfence", pod + "/priorityClassName", `system-cluster-critical`, "changes of meshes wait for it, so no ordinary pod may take its place on a node"},
		{"Deployment", "meshfence", pod + "/nodeSelector", `{kubernetes.io/os: linux}`, "the image is for Linux"},
		{"Deployment", "meshfence", pod + "/securityContext", `{runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}`, "the Pod Security level restricted; OpenShift chooses the user id"},
		{"Deployment", "meshfence", pod + "/terminationGracePeriodSeconds", `45`, "5 seconds of preStop, 1 of notice to clients, 30 for requests in flight, and some to spare"},
		{"Deployment", "meshfence", pod + "/topologySpreadConstraints", `[
			{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: ` + selected + `}, matchLabelKeys: [pod-template-hash]},
			{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: ` + selected + `}, matchLabelKeys: [pod-template-hash]}]`,
			"a node or zone that fails does not take both; in a cluster of one node both run"},
		{"Deployment", "meshfence", "keys of " + container, `[args, env, image, imagePullPolicy, lifecycle, livenessProbe, name, ports, readinessProbe, resources, securityContext, startupProbe, terminationMessagePolicy, volumeMounts]`, "the image's own entrypoint, and one container"},
		{"Deployment", "meshfence", container + "/name", `meshfence`, "the annotation default-container names it"},
		{"Deployment", "meshfence", container + "/imagePullPolicy", `IfNotPresent`, "a node that has the image starts a replica while the registry is away"},
		{"Deployment", "meshfence", container + "/args", `[serve, --name=meshfence, --config=/etc/meshfence/config.yaml, --cert-dir=/var/run/meshfence/certs, --audit-interval=10m, --audit-delay=30s, --log-level=info, --log-format=json, --bind-address=:10250, --health-bind-address=:8081, --metrics-bind-address=:8080]`, "certificate and configuration are what is mounted; denials are in the log"},
		{"Deployment", "meshfence", container + "/securityContext", `{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}`, "the Pod Security level restricted, and nothing can be written into the image"},
		{"Deployment", "meshfence", container + "/startupProbe", `{httpGet: {path: /healthz, port: health}, periodSeconds: 2, failureThreshold: 60}`, "two minutes for the certificate to appear, before liveness counts"},
		{"Deployment", "meshfence", container + "/livenessProbe", `{httpGet: {path: /healthz, port: health}, periodSeconds: 10}`, "it asks about the process only: /readyz fails until the cluster has been read, and a restart would only begin that again"},
		{"Deployment", "meshfence", container + "/readinessProbe", `{httpGet: {path: /readyz, port: health}, periodSeconds: 3}`, "a replica that does not know the meshes yet is not asked"},
		{"Deployment", "meshfence", container + "/lifecycle", `{preStop: {sleep: {seconds: 5}}}`, "requests still come until the API server has heard that the replica leaves"},
		{"Deployment", "meshfence", container + "/resources", `{requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 512Mi}}`, "room on the node, a bound that the worst input stays under, and no cpu limit, which would slow down answers"},
		{"Deployment", "meshfence", container + "/env", `[{name: GOMEMLIMIT, value: "483183820"}]`, "garbage is collected before the memory limit kills the process"},
		{"Deployment", "meshfence", container + "/ports", `[{name: webhooks, containerPort: 10250}, {name: health, containerPort: 8081}, {name: metrics, containerPort: 8080}]`, "Service, probes and NetworkPolicy name them; private clusters of GKE open 10250"},
		{"Deployment", "meshfence", container + "/terminationMessagePolicy", `FallbackToLogsOnError`, "kubectl describe pod says why it does not start"},
		{"Deployment", "meshfence", container + "/volumeMounts", `[{name: configuration, mountPath: /etc/meshfence, readOnly: true}, {name: certs, mountPath: /var/run/meshfence/certs, readOnly: true}]`, "whole folders, because a file that is mounted with subPath never changes; and read only"},
		{"Deployment", "meshfence", pod + "/volumes", `[{name: configuration, configMap: {name: meshfence-configuration}}, {name: certs, secret: {secretName: meshfence-serving}}]`, "not optional: without a certificate a pod waits and does not start"},
		{"Deployment", "meshfence", "spec/template/metadata/labels", `{app.kubernetes.io/name: meshfence, app.kubernetes.io/instance: meshfence, sidecar.istio.io/inject: "false", istio.io/dataplane-mode: none}`, "it must come up when no mesh works"},
		{"Deployment", "meshfence", "spec/template/metadata/annotations", `{kubectl.kubernetes.io/default-container: meshfence, sidecar.istio.io/inject: "false"}`, "the same for injectors that look at the annotation"},

		{"PodDisruptionBudget", "meshfence", "spec", `{minAvailable: 1, unhealthyPodEvictionPolicy: AlwaysAllow, selector: {matchLabels: ` + selected + `}}`,
			"a drain takes one replica at a time; replicas that are not ready, however many, do not block it"},
		{"NetworkPolicy", "meshfence", "spec", `{podSelector: {matchLabels: ` + selected + `}, policyTypes: [Ingress], ingress: [{ports: [{port: webhooks}, {port: health}]}, {ports: [{port: metrics}]}]}`,
			"no other port; and no peer for admission requests, as the API server's address cannot be named"},
		{"Service", "meshfence", "spec", `{selector: ` + selected + `, ports: [{name: webhooks, port: 443, targetPort: webhooks}, {name: metrics, port: 8080, targetPort: metrics}]}`,
			"inside the cluster only; only replicas that are ready are asked; and the health port is the kubelet's"},

		{"ServiceAccount", "meshfence", "keys of ", `[apiVersion, kind, metadata]`, "the token is mounted, and there are no other Secrets"},
		{"ClusterRoleBinding", "meshfence", "roleRef", `{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: meshfence}`, "its own role"},
		{"ClusterRoleBinding", "meshfence", "subjects", `[{kind: ServiceAccount, name: meshfence, namespace: meshfence-system}]`, "no other account"},
		{"RoleBinding", "meshfence", "roleRef", `{apiGroup: rbac.authorization.k8s.io, kind: Role, name: meshfence}`, "its own role"},
		{"RoleBinding", "meshfence", "subjects", `[{kind: ServiceAccount, name: meshfence, namespace: meshfence-system}]`, "no other account"},

		{"Pod", "meshfence-selftest", "keys of spec", `[containers, nodeSelector, restartPolicy, securityContext, serviceAccountName]`, "as for the server"},
		{"Pod", "meshfence-selftest", "spec/restartPolicy", `Never`, "a test that fails ends and says so"},
		{"Pod", "meshfence-selftest", "spec/serviceAccountName", `meshfence-selftest`, "the right to create namespaces is not the server's"},
		{"Pod", "meshfence-selftest", "spec/securityContext", `{runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}`, "the Pod Security level restricted"},
		{"Pod", "meshfence-selftest", "spec/containers/0/securityContext", `{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}`, "the Pod Security level restricted"},
		{"Pod", "meshfence-selftest", "spec/containers/0/args", `[selftest]`, "not the server"},
		{"Pod", "meshfence-selftest", "spec/containers/0/resources", `{requests: {cpu: 10m, memory: 32Mi}, limits: {memory: 64Mi}}`, "a quota of the namespace may ask for both"},
		{"ClusterRole", "meshfence-selftest", "rules", `[{apiGroups: [""], resources: [namespaces], verbs: [create]}]`, "in a dry run, which needs the right all the same"},
		{"ClusterRole", "meshfence-selftest", "metadata/annotations", `{helm.sh/hook: test, helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded", helm.sh/hook-weight: "-2"}`, "the right goes when the test is over"},
		{"ClusterRoleBinding", "meshfence-selftest", "metadata/annotations", `{helm.sh/hook: test, helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded", helm.sh/hook-weight: "-1"}`, "the right goes when the test is over"},
		{"ClusterRoleBinding", "meshfence-selftest", "roleRef", `{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: meshfence-selftest}`, "the test's own role"},
		{"ClusterRoleBinding", "meshfence-selftest", "subjects", `[{kind: ServiceAccount, name: meshfence-selftest, namespace: meshfence-system}]`, "no other account"},
	}
}

// of is what the chart renders with these values.
func of() map[string][]safe {
	return map[string][]safe{
		`certs.mode="self-signed"`: {
			{"Deployment", "meshfence", "spec/template/spec/containers/0/args", `[serve, --name=meshfence, --config=/etc/meshfence/config.yaml, --certs=self-signed, --certs-ca-duration=8760h, --certs-duration=2160h, --audit-interval=10m, --audit-delay=30s, --log-level=info, --log-format=json, --bind-address=:10250, --health-bind-address=:8081, --metrics-bind-address=:8080]`, "the lifetimes are the values'"},
			{"Deployment", "meshfence", "spec/template/spec/volumes", `[{name: configuration, configMap: {name: meshfence-configuration}}]`, "the key is read from the API server, and in no file"},
			{"Deployment", "meshfence", "spec/template/spec/containers/0/volumeMounts", `[{name: configuration, mountPath: /etc/meshfence, readOnly: true}]`, "the same"},
		},
		`certs.mode="openshift"`: {
			{"Service", "meshfence", "metadata/annotations", `{service.beta.openshift.io/serving-cert-secret-name: meshfence-service-ca}`, "the service CA makes the certificate"},
			{"Deployment", "meshfence", "spec/template/spec/volumes", `[{name: configuration, configMap: {name: meshfence-configuration}}, {name: certs, secret: {secretName: meshfence-service-ca}}]`, "and it is the one that is served"},
		},
		`clientCA={"configMap":"api-server"}`: {
			{"Deployment", "meshfence", "spec/template/spec/volumes/2", `{name: client-ca, configMap: {name: api-server}}`, "not optional: without the authority it does not start, rather than answer everyone"},
			{"Deployment", "meshfence", "spec/template/spec/containers/0/volumeMounts/2", `{name: client-ca, mountPath: /var/run/meshfence/client-ca, readOnly: true}`, "the file that --client-ca names"},
			{"Deployment", "meshfence", "spec/template/spec/containers/0/args/4", `--client-ca=/var/run/meshfence/client-ca/ca.crt`, "only the API server is answered"},
		},
		`clientCA={"secret":"api-server"}`: {
			{"Deployment", "meshfence", "spec/template/spec/volumes/2", `{name: client-ca, secret: {secretName: api-server}}`, "not optional: without the authority it does not start, rather than answer everyone"},
		},
		`networkPolicy={"restrictEgress":true,"metricsFrom":[{"podSelector":{}}]}`: {
			{"NetworkPolicy", "meshfence", "spec", `{podSelector: {matchLabels: ` + selected + `}, policyTypes: [Ingress, Egress],
				ingress: [{ports: [{port: webhooks}, {port: health}]}, {ports: [{port: metrics}], from: [{podSelector: {}}]}], egress: [{ports: [{port: 443}, {port: 6443}]}]}`,
				"metrics for these peers only, and out to the API server's ports only"},
		},
		`extraArgs=["--log-level=debug"]`: {
			{"Deployment", "meshfence", "spec/template/spec/containers/0/args/11", `--log-level=debug`, "the last flag of a name counts"},
		},
		`{"port":9443,"healthPort":9081,"metricsPort":9080,"extraEnv":[{"name":"A","value":"b"}]}`: {
			{"Deployment", "meshfence", "spec/template/spec/containers/0/args/8", `--bind-address=:9443`, "the process listens where the container's port says"},
			{"Deployment", "meshfence", "spec/template/spec/containers/0/ports", `[{name: webhooks, containerPort: 9443}, {name: health, containerPort: 9081}, {name: metrics, containerPort: 9080}]`, "Service, probes and NetworkPolicy name them"},
			{"Deployment", "meshfence", "spec/template/spec/containers/0/env", `[{name: GOMEMLIMIT, value: "483183820"}, {name: A, value: b}]`, "besides what the chart sets"},
		},
		`{"hostNetwork":true,"port":9443,"dnsPolicy":"ClusterFirstWithHostNet","namespace":{"create":true}}`: {
			{"Deployment", "meshfence", "spec/template/spec/hostNetwork", `true`, "the API server reaches nodes, if not pods"},
			{"Deployment", "meshfence", "spec/template/spec/dnsPolicy", `ClusterFirstWithHostNet`, "names of the cluster are known, if extraEnv has one"},
			{"Deployment", "meshfence", "spec/strategy", `{rollingUpdate: {maxUnavailable: 1, maxSurge: 1}}`, "where each node has a replica, a new one finds no node with free ports until an old one goes"},
			{"Namespace", "meshfence-system", "metadata/labels", `{app.kubernetes.io/name: meshfence, app.kubernetes.io/instance: meshfence, app.kubernetes.io/version: v0.1.0, pod-security.kubernetes.io/enforce: privileged}`, "no other level of Pod Security allows the network of a node"},
		},
		// Both the Deployment's pods and that of helm test, which waits for a node, or an image, otherwise.
		`{"nodeSelector":{"pool":"system"},"tolerations":[{"operator":"Exists"}],"affinity":{"nodeAffinity":{}},"topologySpreadConstraints":[{"maxSkew":2}],"image":{"pullSecrets":[{"name":"r"}],"digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}`: {
			{"Deployment", "meshfence", "spec/template/spec/nodeSelector", `{kubernetes.io/os: linux, pool: system}`, "it runs where it is told to"},
			{"Deployment", "meshfence", "spec/template/spec/tolerations", `[{operator: Exists}]`, "it runs where it is told to"},
			{"Deployment", "meshfence", "spec/template/spec/imagePullSecrets", `[{name: r}]`, "the registry asks for them"},
			{"Deployment", "meshfence", "spec/template/spec/containers/0/image", `ghcr.io/meshfence/meshfence@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`, "a digest wins over the tag"},
			{"Pod", "meshfence-selftest", "spec/nodeSelector", `{kubernetes.io/os: linux, pool: system}`, "it runs where it is told to"},
			{"Pod", "meshfence-selftest", "spec/tolerations", `[{operator: Exists}]`, "it runs where it is told to"},
			{"Pod", "meshfence-selftest", "spec/imagePullSecrets", `[{name: r}]`, "the registry asks for them"},
			{"Pod", "meshfence-selftest", "spec/containers/0/image", `ghcr.io/meshfence/meshfence@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`, "a digest wins over the tag"},
			{"Deployment", "meshfence", "spec/template/spec/affinity", `{nodeAffinity: {}}`, "it runs where it is told to"},
			{"Deployment", "meshfence", "spec/template/spec/topologySpreadConstraints", `[{maxSkew: 2}]`, "instead of the default ones"},
		},
		`priorityClassName="system-node-critical"`: {
			{"ResourceQuota", "meshfence-priority", "apiVersion", `v1`, "the API server takes it"},
			{"ResourceQuota", "meshfence-priority", "spec", `{hard: {pods: "4"}, scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [system-node-critical]}]}}`, "all replicas, and as many that still end, and no other class"},
		},
		`metrics={"serviceMonitor":{"enabled":true},"prometheusRule":{"enabled":true}}`: {
			{"ServiceMonitor", "meshfence", "spec", `{selector: {matchLabels: ` + selected + `}, endpoints: [{port: metrics, path: /metrics, interval: 30s}]}`, "the alerts have something to look at"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/0/alert", `MeshfenceDown`, "which alert the next rows are about"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/0/expr", `'absent(up{namespace="meshfence-system",service="meshfence",endpoint="metrics"} == 1)'`, "no replica answers, longer than a node takes to come back"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/0/for", `5m`, "a moment of it is no alert"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/0/labels", `{severity: critical}`, "who is called, and when"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/1/alert", `MeshfenceCannotJudge`, "which alert the next rows are about"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/1/expr", `'sum(increase(meshfence_admissions_total{namespace="meshfence-system",service="meshfence",answer="unavailable"}[5m])) > 0'`, "requests are refused, and not because of what is in them"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/1/for", `5m`, "a moment of it is no alert"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/1/labels", `{severity: warning}`, "who is called, and when"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/2/alert", `MeshfenceCertificateExpires`, "which alert the next rows are about"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/2/expr", `'min(meshfence_certificate_expiry_timestamp_seconds{namespace="meshfence-system",service="meshfence"}) - time() < 1209600'`, "of any replica, 14 days before requests are refused"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/2/for", `1h`, "a moment of it is no alert"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/2/labels", `{severity: critical}`, "who is called, and when"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/3/alert", `MeshfenceSlow`, "which alert the next rows are about"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/3/expr", `'sum(rate(meshfence_admission_duration_seconds_bucket{namespace="meshfence-system",service="meshfence",le=~"0.5(.0)?"}[10m])) by (path) / sum(rate(meshfence_admission_duration_seconds_count{namespace="meshfence-system",service="meshfence"}[10m])) by (path) < 0.99'`, "less than 99 % are answered within half a second"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/3/for", `10m`, "a moment of it is no alert"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/3/labels", `{severity: warning}`, "who is called, and when"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/4/alert", `MeshfenceViolations`, "which alert the next rows are about"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/4/expr", `'sum(increase(meshfence_findings_total{namespace="meshfence-system",service="meshfence",answer="deny"}[1h])) by (rule, resource) > 10'`, "a single refusal is no alert"},
			{"PrometheusRule", "meshfence", "spec/groups/0/rules/4/labels", `{severity: info}`, "who is called, and when"},
		},
	}
}

// TestTheChartIsSafe renders the chart with Helm and looks at each part that security or availability rests on. The rules of the roles
// are in TestRights of deploy, the webhook configurations in TestWebhooksFailAsDesigned there.
func TestTheChartIsSafe(t *testing.T) {
	t.Run("by default", func(t *testing.T) {
		t.Parallel()
		checkSafe(t, always())
	})
	for set, parts := range of() {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			checkSafe(t, parts, set)
		})
	}
}

func checkSafe(t *testing.T, parts []safe, sets ...string) {
	t.Helper()
	manifests := rendered(t, sets...)
	for _, part := range parts {
		manifest, found := manifests[part.kind+" "+part.name]
		if !found {
			t.Errorf("there is no %s %s in %q", part.kind, part.name, slices.Sorted(maps.Keys(manifests)))
			continue
		}
		got, err := lookUp(manifest, part.path)
		if err != nil {
			t.Errorf("%s %s: %v: %s", part.kind, part.name, err, part.why)
			continue
		}
		var want any
		if err := yaml.Unmarshal([]byte(strings.ReplaceAll(part.want, "\t", " ")), &want); err != nil {
			t.Fatalf("%v in %s", err, part.want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s: %s (-want +got): %s\n%s", part.kind, part.name, part.path, part.why, diff)
		}
	}
}

// rendered is what Helm makes of the chart with these values, the pod of helm test too, by kind and name.
func rendered(t *testing.T, sets ...string) map[string]any {
	t.Helper()
	text, err := renderAll(t, setFlags(sets...)...)
	if err != nil {
		t.Fatal(text)
	}
	all := map[string]any{}
	for document := range strings.SplitSeq(text, "\n---\n") {
		var manifest map[string]any
		if err := yaml.Unmarshal([]byte(document), &manifest); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if manifest == nil {
			continue
		}
		name, _ := lookUp(manifest, "metadata/name")
		key := fmt.Sprint(manifest["kind"], " ", name)
		if all[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		if namespace, err := lookUp(manifest, "metadata/namespace"); err == nil && namespace != "meshfence-system" {
			t.Errorf("%s is in the namespace %s", key, namespace)
		}
		all[key] = manifest
	}
	return all
}

// lookUp returns the part of a manifest to which a path leads.
func lookUp(part any, path string) (any, error) {
	if inner, ok := strings.CutPrefix(path, "keys of "); ok {
		return keysOf(part, inner)
	}
	if path == "" {
		return part, nil
	}
	for step := range strings.SplitSeq(path, "/") {
		switch at := part.(type) {
		case map[string]any:
			part = at[step]
		case []any:
			i, err := strconv.ParseUint(step, 10, 8)
			if err != nil || int(i) >= len(at) {
				return nil, fmt.Errorf("%s: there is no item %s", path, step)
			}
			part = at[i]
		default:
			return nil, fmt.Errorf("%s: there is nothing within %v", path, at)
		}
		if part == nil {
			return nil, fmt.Errorf("%s: there is no %s", path, step)
		}
	}
	return part, nil
}

func keysOf(part any, path string) (any, error) {
	part, err := lookUp(part, path)
	if err != nil {
		return nil, err
	}
	fields, ok := part.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s has no fields", path)
	}
	var keys []any
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		keys = append(keys, key)
	}
	return keys, nil
}
