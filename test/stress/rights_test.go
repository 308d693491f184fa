package stress

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// auditPolicy notes what meshfence asks the API server for, and nothing else.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["system:serviceaccount:meshfence-system:meshfence"]
- level: None
`

// right is one verb on one resource. The name is "" where the role names none.
type right struct{ group, resource, name, verb string }

// TestRights compares what meshfence asks the API server for, while it does all that it does, with what the roles grant:
// nothing is missing, nothing unused.
func TestRights(t *testing.T) {
	s := start(t)
	policy, log := filepath.Join(s.Dir(), "audit.yaml"), filepath.Join(s.Dir(), "audit.log")
	must(t, os.WriteFile(policy, []byte(auditPolicy), 0o600))
	audited, err := s.StartAPIServer(t.Context(), "", map[string]string{"audit-policy-file": policy, "audit-log-path": log, "audit-log-mode": "blocking"})
	must(t, err)
	t.Cleanup(func() {
		if err := audited.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.install(t, 2, harness.ProcessOptions{}, audited.Config)
	s.exercise(t)
	granted := s.granted(t)
	used, refused := s.used(t, log, granted)
	for _, line := range refused {
		t.Errorf("refused: %s", line)
	}
	for _, r := range slices.SortedFunc(maps.Keys(granted), func(a, b right) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }) {
		if !used[r] {
			t.Errorf("granted and never used: %+v", r)
		}
	}
	count(t, "%d rights are granted, all are used, and none is missing", len(granted))
}

// exercise brings meshfence to do everything: it makes and writes the ledger, adds label keys, and denials of namespaces
// are confirmed with live reads.
func (s *suite) exercise(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	for _, name := range []string{"mesh-1", "mesh-2"} {
		must(t, s.Client.Create(ctx, stressed(name, selecting(name), 0)))
	}
	other := stressed("mesh-3", []metav1.LabelSelector{{MatchLabels: map[string]string{"istio-discovery": "x", "a-key-of-its-own": "y"}}}, 0)
	must(t, s.Client.Create(ctx, other))
	must(t, s.Client.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: harness.Namespace, Name: "mesh-map"}, Data: map[string]string{"mesh-1": "mesh-1"}}))
	must(t, s.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}))
	s.eventually(t, "a wrong label is refused", func() bool {
		err := patchLabels(ctx, s.Client, "shop", `{"istio-discovery":"mesh-1","istio.io/rev":"mesh-2"}`)
		return err != nil && strings.Contains(err.Error(), "MF202")
	})
}

// granted reads the roles.
func (s *suite) granted(t *testing.T) map[right]bool {
	t.Helper()
	cluster, own := &rbacv1.ClusterRole{}, &rbacv1.Role{}
	must(t, s.Client.Get(t.Context(), client.ObjectKey{Name: "meshfence"}, cluster))
	must(t, s.Client.Get(t.Context(), client.ObjectKey{Namespace: harness.Namespace, Name: "meshfence"}, own))
	all := map[right]bool{}
	for _, rule := range slices.Concat(cluster.Rules, own.Rules) {
		if len(rule.ResourceNames) == 0 {
			rule.ResourceNames = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range rule.ResourceNames {
					for _, verb := range rule.Verbs {
						all[right{group, resource, name, verb}] = true
					}
				}
			}
		}
	}
	return all
}

// used reads the audit log: which rights were used, and which requests were refused.
func (s *suite) used(t *testing.T, log string, granted map[right]bool) (used map[right]bool, refused []string) {
	t.Helper()
	file, err := os.Open(log)
	must(t, err)
	defer file.Close()
	used = map[right]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Verb           string                                     `json:"verb"`
			RequestURI     string                                     `json:"requestURI"`
			ObjectRef      *struct{ APIGroup, Resource, Name string } `json:"objectRef"`
			ResponseStatus *struct{ Code int }                        `json:"responseStatus"`
		}
		must(t, json.Unmarshal(lines.Bytes(), &event))
		if event.ObjectRef == nil {
			refused = append(refused, "outside of the roles: "+event.Verb+" "+event.RequestURI)
			continue
		}
		if event.ResponseStatus != nil && event.ResponseStatus.Code == 403 {
			refused = append(refused, event.Verb+" "+event.RequestURI)
		}
		for _, name := range []string{event.ObjectRef.Name, ""} {
			used[right{event.ObjectRef.APIGroup, event.ObjectRef.Resource, name, event.Verb}] = true
		}
	}
	must(t, lines.Err())
	if len(used) == 0 || len(granted) == 0 {
		t.Fatal("the audit log or the roles are empty")
	}
	return used, refused
}
