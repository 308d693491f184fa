// Package answers tests what people and the API server get to know of a judgement beyond kubectl's output, against a real
// API server: the whole status of a refusal, the warnings that a client receives, the audit log, and how long a look at
// the pods of a namespace takes.
package answers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/test/harness"
)

// limit is how long anything here may take that is not measured.
const limit = 10 * time.Second

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	m.Run()
}

// suite is a cluster with mesh-1 and mesh-2 and with meshfence in front of it, and its audit log.
type suite struct {
	*harness.Cluster
	auditLog string
}

// auditPolicy notes who did what, and the annotations that admission gives.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [create, update, patch]
  resources:
  - group: ""
    resources: [namespaces]
  - group: sailoperator.io
`

func TestAnswers(t *testing.T) {
	dir := t.TempDir()
	policyFile, auditLog := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "audit.log")
	must(t, os.WriteFile(policyFile, []byte(auditPolicy), 0o600))
	started, err := harness.Start(t.Context(), harness.Options{APIServerFlags: map[string]string{
		"audit-policy-file": policyFile, "audit-log-path": auditLog, "audit-log-mode": "blocking",
	}})
	must(t, err)
	defer func() {
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
	}()
	s := &suite{Cluster: started, auditLog: auditLog}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"if a request is judged, then the audit log says what was decided and why", s.audit},
		{"if a mesh is refused, then the status has a cause for each finding", s.causes},
		{"if only a right is missing, then the status is 403", s.forbidden},
		{"if there are many warnings, then the client gets them whole", s.warnings},
		{"if a namespace with many pods moves, then the look at them is bounded", s.pods},
		{"if tools change a namespace and never write istio.io/rev, then none is refused because of it", s.tools},
		{"if a request needs fewer webhooks, then fewer are asked", s.calls},
	} {
		t.Run(test.name, func(t *testing.T) {
			must(t, s.Reset(t.Context()))
			must(t, s.InstallWorkload(t.Context()))
			test.run(t)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start starts meshfence with a configuration, beside mesh-1 and mesh-2. It ends with the test.
func (s *suite) start(t *testing.T, configuration string) {
	t.Helper()
	for _, name := range []string{"mesh-1", "mesh-2"} {
		must(t, s.Client.Create(t.Context(), istio(t, name, "[{matchLabels: {istio-discovery: "+name+"}}]")))
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	must(t, os.WriteFile(file, []byte("{apiVersion: meshfence.io/v1alpha1, kind: Configuration, "+configuration+"}"), 0o600))
	_, err := s.StartMeshfence(t.Context(), harness.ProcessOptions{Config: file})
	must(t, err)
	t.Cleanup(func() {
		if err := s.StopMeshfence(); err != nil {
			t.Error(err)
		}
	})
	must(t, s.InstallWebhooks(t.Context()))
}

// istio is an Istio with these discoverySelectors and a control-plane namespace of its own.
func istio(t *testing.T, name, selectors string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	must(t, yaml.Unmarshal([]byte("{apiVersion: sailoperator.io/v1, kind: Istio, metadata: {name: "+name+"}, spec: {namespace: istio-system-"+name+
		", version: v1.30.3, values: {meshConfig: {discoverySelectors: "+selectors+"}}}}"), o))
	return o
}

// namespace has labels and annotations of the form key, value, key, value.
func namespace(name string, annotation string, labels ...string) *corev1.Namespace {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	for i := 0; i < len(labels); i += 2 {
		ns.Labels[labels[i]] = labels[i+1]
	}
	if annotation != "" {
		ns.Annotations = map[string]string{"meshfence.io/override": annotation}
	}
	return ns
}

// as returns a client for somebody else, and what it is warned of.
func (s *suite) as(t *testing.T, user string) (client.Client, *collector) {
	t.Helper()
	config := rest.CopyConfig(s.Config)
	if user != "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: user}
	}
	warned := &collector{}
	config.WarningHandler = warned
	c, err := client.New(config, client.Options{Scheme: s.Client.Scheme()})
	must(t, err)
	return c, warned
}

// collector keeps the warnings that a client receives.
type collector struct {
	mu  sync.Mutex
	all []string
}

func (c *collector) HandleWarningHeader(_ int, _, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, text)
}

func (c *collector) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.all
	c.all = nil
	return taken
}

// allowNamespaces lets a user write namespaces, and override a rule if it is not "".
func (s *suite) allowNamespaces(t *testing.T, user, override string) {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"create", "patch"}},
	}}
	if override != "" {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{
			APIGroups: []string{"meshfence.io"}, Resources: []string{"rules"}, ResourceNames: []string{override}, Verbs: []string{"override"},
		})
	}
	must(t, s.Client.Create(t.Context(), role))
	must(t, s.Client.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}))
}

// event is what is read of a line of the audit log.
type event struct {
	ObjectRef struct {
		Name string `json:"name"`
	} `json:"objectRef"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	ImpersonatedUser *struct {
		Username string `json:"username"`
	} `json:"impersonatedUser"`
	Annotations map[string]string `json:"annotations"`
}

// audited waits for the audit log's event about an object, and returns what meshfence's webhook of this name has noted.
func (s *suite) audited(t *testing.T, hook, name string) map[string]string {
	t.Helper()
	var noted map[string]string
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, limit, true, func(context.Context) (bool, error) {
		content, err := os.ReadFile(s.auditLog)
		if err != nil {
			return false, err
		}
		lines := bufio.NewScanner(bytes.NewReader(content))
		lines.Buffer(nil, len(content)+1)
		for lines.Scan() {
			var e event
			if json.Unmarshal(lines.Bytes(), &e) != nil || e.ObjectRef.Name != name { // a line may be half written
				continue
			}
			noted = map[string]string{}
			for key, value := range e.Annotations {
				if _, short, ours := strings.Cut(key, hook+".validate.meshfence.io/"); ours {
					noted[short] = value
				}
			}
		}
		return noted != nil, nil
	})
	if err != nil {
		t.Fatalf("no event about %s: %v", name, err)
	}
	return noted
}

func (s *suite) audit(t *testing.T) {
	s.start(t, "mode: enforce")
	s.allowNamespaces(t, "alice", "mf202")
	s.allowNamespaces(t, "bob", "")
	alice, _ := s.as(t, "alice")
	bob, _ := s.as(t, "bob")
	crossed := []string{"istio-discovery", "mesh-1", "istio.io/rev", "mesh-2"}
	for _, test := range []struct {
		object client.Object
		by     client.Client
		hook   string
		want   map[string]string
	}{
		{namespace("fine", "", "istio-discovery", "mesh-1", "istio.io/rev", "mesh-1"), alice, "namespace", map[string]string{"decision": "allow"}},
		{namespace("warned", "", "istio.io/rev", "mesh-9"), alice, "namespace", map[string]string{"decision": "warn", "findings": "MF203"}},
		{namespace("crossed", "", crossed...), alice, "namespace", map[string]string{"decision": "deny", "findings": "MF202"}},
		{namespace("overridden", "MF202", crossed...), alice, "namespace", map[string]string{"decision": "warn", "findings": "MF202", "overridden": "MF202"}},
		{namespace("not-overridden", "MF202", crossed...), bob, "namespace", map[string]string{"decision": "deny", "findings": "MF202"}},
		{istio(t, "mesh-3", "[{matchLabels: {istio-discovery: mesh-1, team: nobody}}]"), s.Client, "istio", map[string]string{"decision": "deny", "findings": "MF103"}},
	} {
		err := test.by.Create(t.Context(), test.object)
		if (err != nil) != (test.want["decision"] == "deny") {
			t.Errorf("%s: %v", test.object.GetName(), err)
		}
		if diff := cmp.Diff(test.want, s.audited(t, test.hook, test.object.GetName())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.object.GetName(), diff)
		}
	}
}

// status is the status of a refusal.
func status(t *testing.T, err error) metav1.Status {
	t.Helper()
	var refused apierrors.APIStatus
	if !errors.As(err, &refused) {
		t.Fatalf("not refused: %v", err)
	}
	return refused.Status()
}

func (s *suite) causes(t *testing.T) {
	s.start(t, "mode: enforce")
	got := status(t, s.Client.Create(t.Context(), istio(t, "mesh-1b", "[{matchLabels: {istio-discovery: mesh-1}}, {matchExpressions: [{key: a, operator: exist}]}]")))
	var causes []string
	for _, cause := range got.Details.Causes {
		code, _, _ := strings.Cut(cause.Message, ":")
		causes = append(causes, string(cause.Type)+" "+cause.Field+" "+code)
	}
	want := []string{
		"FieldValueInvalid spec.values.meshConfig.discoverySelectors[1].matchExpressions[0].operator MF101 InvalidSelector",
		"FieldValueInvalid spec.values.meshConfig.discoverySelectors MF102 DiscoversEverything",
	}
	if diff := cmp.Diff(want, causes); diff != "" || got.Code != 422 || got.Reason != metav1.StatusReasonInvalid {
		t.Errorf("%d %s, causes (-want +got):\n%s", got.Code, got.Reason, diff)
	}
}

func (s *suite) forbidden(t *testing.T) {
	s.start(t, "rules: {MF210: deny}")
	s.allowNamespaces(t, "alice", "")
	alice, _ := s.as(t, "alice")
	got := status(t, alice.Create(t.Context(), namespace("team-a", "", "istio-discovery", "mesh-1", "istio.io/rev", "mesh-1")))
	if got.Code != 403 || got.Reason != metav1.StatusReasonForbidden || len(got.Details.Causes) != 1 || got.Details.Causes[0].Field != "metadata.labels[istio-discovery]" {
		t.Errorf("%+v", got)
	}
	got = status(t, alice.Create(t.Context(), namespace("team-a", "", "istio-discovery", "mesh-1", "istio.io/rev", "mesh-2")))
	if got.Code != 422 || len(got.Details.Causes) != 2 {
		t.Errorf("with another finding: %+v", got)
	}
}

// warnings has an Istio of many broken selectors created where everything only warns: more than the API server hands on.
func (s *suite) warnings(t *testing.T) {
	s.start(t, "mode: warn")
	c, warned := s.as(t, "")
	long := strings.Repeat("x", 63)
	items := []string{"{matchLabels: {istio-discovery: mesh-1}}"}
	for range 24 {
		items = append(items, "{matchExpressions: [{key: "+long+", operator: exist, values: ["+long+"]}]}")
	}
	must(t, c.Create(t.Context(), istio(t, "mesh-3", "["+strings.Join(items, ", ")+"]")))
	lines := warned.take()
	if len(lines) < 10 || !strings.Contains(lines[len(lines)-1], " more finding") {
		t.Fatalf("%d warnings: %q", len(lines), lines)
	}
	total, remedied := 0, map[string]bool{}
	for i, line := range lines {
		total += len([]rune(line))
		code, rest, _ := strings.Cut(line, " ")
		if remedy := strings.HasPrefix(rest, "remedy: "); remedy {
			remedied[code] = true
		} else if len([]rune(line)) > 256 {
			t.Errorf("%d characters: %q", len([]rune(line)), line)
		}
		// A finding whose end is cut off has its remedy in the next line, or had it in an earlier one.
		if strings.HasSuffix(line, "…") && !remedied[code] && (i+1 == len(lines) || !strings.HasPrefix(lines[i+1], code+" remedy: ")) {
			t.Errorf("it has lost its remedy: %q", line)
		}
	}
	if total > 4096 {
		t.Errorf("%d characters", total)
	}
}
