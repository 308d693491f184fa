package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// The bounds of a read of what is stored, beside the request's own deadline. Both leave time to ask for a right to override
// (rightsTimeout).
const (
	// confirmTimeout is for where something else can be judged by: a namespace and the mesh map, which are judged by the fleet
	// at hand, and read only before they are refused; a deletion, which must not wait for long. The shortest timeoutSeconds
	// of our webhooks is 5.
	confirmTimeout = 2 * time.Second
	// judgeTimeout is for where the read is all that there is to judge by. The webhook's timeoutSeconds is 10 there.
	judgeTimeout = 5 * time.Second
)

// errSlow is why a live read was given up.
var errSlow = errors.New("the API server did not answer in time")

// stored reads what is stored, for no longer than limit, nor than the request has. All live reads of the handlers go
// through it, except those of the ledger, which has bounds of its own.
func (c *common) stored(ctx context.Context, limit time.Duration) (mesh.Objects, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	objects, err := c.cluster.Live(ctx)
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return mesh.Objects{}, errSlow
	case err != nil:
		return mesh.Objects{}, err
	}
	return objects, nil
}

// confirmed judges by a known fleet and, before it refuses, once more by what is stored: the known one may not have seen yet the
// mesh or the tag that the same person made a moment ago, and an apply of several objects would fail for no reason. If what is
// stored cannot be read in time, the first verdict stands.
func (c *common) confirmed(ctx context.Context, known *mesh.Fleet, judge func(*mesh.Fleet) policy.Verdict) policy.Verdict {
	verdict := judge(known)
	if verdict.Answer == policy.Allowed {
		return verdict
	}
	objects, err := c.stored(ctx, confirmTimeout)
	if err != nil {
		log.FromContext(ctx).V(1).Info("a denial could not be confirmed by a live read", "problem", err.Error())
		return verdict
	}
	return judge(known.Next(objects))
}

// storedOrKnown is for a deletion, of which users are only warned by default: a cleanup while the API server is slow must not
// be stopped for want of the latest news. What is known is milliseconds old, or, if the API server cannot be reached at all, as old
// as what namespaces are judged by then.
func (c *common) storedOrKnown(ctx context.Context) mesh.Objects {
	objects, err := c.stored(ctx, confirmTimeout)
	if err != nil {
		log.FromContext(ctx).V(1).Info("a deletion is judged by what is known, because the stored meshes could not be read", "problem", err.Error())
		return c.cluster.Known()
	}
	return objects
}

// storedForJudgement is for what can be judged by nothing else. The error is for the user.
func (c *common) storedForJudgement(ctx context.Context) (mesh.Objects, error) {
	objects, err := c.stored(ctx, judgeTimeout)
	if err != nil {
		return mesh.Objects{}, fmt.Errorf("it cannot read the stored meshes (%w)", err)
	}
	return objects, nil
}
