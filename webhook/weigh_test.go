package webhook

import (
	"context"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/cluster/ledger"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Without a cluster to ask, a judgement that went on would panic.
func TestAJudgementEndsWhenItsClientHasGone(t *testing.T) {
	ctx, gone := context.WithCancel(t.Context())
	gone()
	if j := (&controlPlanes{}).weigh(ctx, nil, ledger.State{}, nil, nil); j.verdict.Answer == policy.Allowed {
		t.Error("it is allowed")
	}
}

// etcd takes 1.5 MiB with the object's key, which is in a write three times, and what encryption adds.
func TestAnObjectLeavesRoomForTheRestOfARequestToEtcd(t *testing.T) {
	key := "/registry/sailoperator.io/istiorevisions/" + strings.Repeat("x", 253)
	for size, fits := range map[int]bool{3<<19 - 3*len(key) - 500: false, maxStored + 1: false, maxStored: true} {
		req := &admission.Request{}
		req.Object.Raw = make([]byte, size)
		if err := storable(req, nil, &sail.ControlPlane{}); (err == nil) != fits {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
