package webhook

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/policy"
)

// Settings translates the configuration for the policy.
func Settings(c *config.Configuration) policy.Settings {
	s := policy.Settings{
		Actions:         policy.Actions{Rules: map[policy.Code]policy.Action{}, WarnOnly: c.Mode == config.ModeWarn},
		DiscoveryLabels: c.DiscoveryLabels,
		ControlPlane:    c.ControlPlaneNamespaces.Match,
	}
	for code, action := range c.Rules {
		s.Actions.Rules[policy.Code(code)] = map[config.Action]policy.Action{
			config.ActionOff: policy.Off, config.ActionWarn: policy.Warn, config.ActionDeny: policy.Deny,
		}[action]
	}
	for _, source := range c.FillFrom {
		s.FillFrom = append(s.FillFrom, map[config.FillSource]policy.FillSource{
			config.FillFromMeshMap: policy.MeshMap, config.FillFromTag: policy.FollowingTag, config.FillFromActiveRevision: policy.ActiveRevision,
		}[source])
	}
	return s
}

// RuleCodes are the codes that a configuration may name: those of all rules, also of those that only a look at the cluster can judge.
func RuleCodes() []string {
	var all []string
	for _, r := range policy.AllRules() {
		all = append(all, string(r.Code))
	}
	slices.Sort(all)
	return all
}
