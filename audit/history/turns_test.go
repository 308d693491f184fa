package history_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/history"
	"github.com/meshfence/meshfence/webhook/policy"
)

// What is remembered fits into a ConfigMap however long names are, and very many findings in one namespace leave room for those of others.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	rule := policy.Catalogue()[0]
	var found []policy.Offence
	add := func(kind, namespace, name string) {
		found = append(found, policy.Offence{Kind: kind, Namespace: namespace, Name: name, Finding: policy.Finding{Rule: rule, Subjects: []string{name}}})
	}
	for i := range 5000 {
		add("Gateway", "tenant", fmt.Sprintf("%04d-%s", i, strings.Repeat("x", 245)))
	}
	add(audit.KindNamespace, "", "shop")
	add("Gateway", "other", "one")
	known, _ := history.Known{}.Next(history.Run{Time: time.Unix(1000, 0), Findings: found, MeshOf: func(policy.Offence) string { return "" }})
	text := known.String()
	if len(text) > 1<<20 || len(text) < 1<<19 || !strings.Contains(text, " shop ") || !strings.Contains(text, " other one ") {
		t.Errorf("%d bytes, shop %v, other %v", len(text), strings.Contains(text, " shop "), strings.Contains(text, " other one "))
	}
	if text != known.String() {
		t.Error("it is another text the next time")
	}
}
