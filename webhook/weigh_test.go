package webhook

import (
	"context"
	"testing"

	"github.com/meshfence/meshfence/webhook/cluster/ledger"
	"github.com/meshfence/meshfence/webhook/policy"
)

// Without a cluster to ask, a judgement that went on would panic.
func TestAJudgementEndsWhenItsClientHasGone(t *testing.T) {
	ctx, gone := context.WithCancel(t.Context())
	gone()
	if j := (&controlPlanes{}).weigh(ctx, nil, ledger.State{}, nil, nil); j.verdict.Answer == policy.Allowed {
		t.Error("it is allowed")
	}
}
