package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/webhook/mesh"
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

// storedReader gives the meshes as they are stored now.
type storedReader interface {
	Live(ctx context.Context) (mesh.Objects, error)
}

// knownReader also gives them as informers know them.
type knownReader interface {
	storedReader
	Known() mesh.Objects
}

// errSlow is why a live read was given up.
var errSlow = errors.New("the API server did not answer in time")

// readStored reads what is stored, for no longer than limit, nor than the request has. All live reads of the handlers go
// through it, except those of the ledger, which has bounds of its own.
func readStored(ctx context.Context, stored storedReader, limit time.Duration) (mesh.Objects, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	objects, err := stored.Live(ctx)
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return mesh.Objects{}, errSlow
	case err != nil:
		return mesh.Objects{}, err
	}
	return objects, nil
}

// confirming returns the fleet to judge by again before a refusal: the fleet at hand may not have seen yet the mesh or the
// tag that the same person made a moment ago, and an apply of several objects would fail for no reason. It is nil if what is
// stored cannot be read in time; then the first verdict stands.
func confirming(ctx context.Context, stored storedReader, known *mesh.Fleet) *mesh.Fleet {
	objects, err := readStored(ctx, stored, confirmTimeout)
	if err != nil {
		log.FromContext(ctx).V(1).Info("a denial could not be confirmed by a live read", "problem", err.Error())
		return nil
	}
	return known.Next(objects)
}

// storedOrKnown is for a deletion: by default it is only told what it leads to, and whoever cleans up while the API server
// is slow must not be stopped for want of the latest news. What is known is milliseconds old, or, if the API server cannot
// be reached at all, as old as namespaces are judged by then.
func storedOrKnown(ctx context.Context, reader knownReader) mesh.Objects {
	objects, err := readStored(ctx, reader, confirmTimeout)
	if err != nil {
		log.FromContext(ctx).V(1).Info("a deletion is judged by what is known, because the stored meshes could not be read", "problem", err.Error())
		return reader.Known()
	}
	return objects
}

// storedForJudgement is for what can be judged by nothing else. The error is for the person who asks.
func storedForJudgement(ctx context.Context, stored storedReader) (mesh.Objects, error) {
	objects, err := readStored(ctx, stored, judgeTimeout)
	if err != nil {
		return mesh.Objects{}, fmt.Errorf("it cannot read the stored meshes (%w)", err)
	}
	return objects, nil
}
