package docs_test

import (
	"strings"
	"testing"

	"github.com/meshfence/meshfence/docs"
	"github.com/meshfence/meshfence/webhook/policy"
)

func TestEveryRuleHasItsSection(t *testing.T) {
	for _, rule := range policy.AllRules() {
		section, ok := docs.Rule(string(rule.Code))
		if !ok || section.Name != rule.Name || !strings.HasPrefix(section.Text, "Default: ") || strings.Contains(section.Text, "\n## ") {
			t.Errorf("%s: %v %.200q", rule.Code, ok, section.Text)
		}
	}
	if section, ok := docs.Rule("MF999"); ok {
		t.Errorf("MF999: %v", section)
	}
	last, _ := docs.Rule("MF916")
	if strings.Contains(last.Text, "The way past a rule") {
		t.Error("the last section does not end")
	}
}
