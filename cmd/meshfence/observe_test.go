package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/webhook/cluster/listing"
	"github.com/meshfence/meshfence/webhook/policy"
)

// Packages that may not know each other name the same resources.
func TestWhatTheRulesNeedIsWhatIsRead(t *testing.T) {
	var needs []string
	for _, r := range append(observed.Needs(policy.New(policy.Settings{})), observed.Istios, observed.IstioRevisions) {
		needs = append(needs, string(r))
	}
	slices.Sort(needs)
	if diff := cmp.Diff(needs, listing.Observed()); diff != "" {
		t.Errorf("needed (-), read (+):\n%s", diff)
	}
}
