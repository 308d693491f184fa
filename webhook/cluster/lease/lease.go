// Package lease decides by a Lease of Kubernetes which replica does something. It knows nothing of meshes.
package lease

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// How long a Lease is held, within which time it must be renewed, and how often that is tried: what Kubernetes' own controllers have. A replica that cannot renew
// it stops five seconds before another one may take it.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// Lease says which replica leads.
type Lease struct {
	// API leads to the API server.
	API *rest.Config
	// Namespace and Name are of the Lease.
	Namespace, Name string
}

// Hold calls lead while this replica holds the Lease, with a context that ends when it no longer does, and waits until lead has returned before it
// tries to get the Lease again or gives it up. It returns when ctx has ended.
func (l Lease) Hold(ctx context.Context, lead func(context.Context)) error {
	api := rest.CopyConfig(l.API)
	api.Timeout = renewDeadline / 2 // so that there is a second try
	client, err := coordinationclient.NewForConfig(api)
	if err != nil {
		return fmt.Errorf("connect to the API server for the Lease %s: %w", l.Name, err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "meshfence"
	}
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: l.Namespace, Name: l.Name},
		Client:     client,
		LockConfig: resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())},
	}
	for ctx.Err() == nil {
		if err := holdOnce(ctx, lock, lead); err != nil {
			return err
		}
	}
	return nil
}

// holdOnce waits for the Lease, and returns when it is lost or ctx has ended, and lead has returned.
func holdOnce(ctx context.Context, lock resourcelock.Interface, lead func(context.Context)) error {
	// The Lease is given up only when lead has returned: another replica takes it within seconds.
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	leading, returned := make(chan struct{}), make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true, Name: "audit",
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) {
				close(leading)
				defer close(returned)
				held, cancel := context.WithCancel(held)
				defer cancel()
				defer context.AfterFunc(ctx, cancel)()
				lead(held)
				release() // it has nothing to do any more, because ctx has ended or it cannot go on
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("the Lease of the audit: %w", err)
	}
	go func() {
		select {
		case <-ctx.Done():
		case <-holding.Done():
			return
		}
		select {
		case <-leading: // lead releases it
		default:
			release()
		}
	}()
	elector.Run(holding)
	select {
	case <-leading:
		<-returned
		if ctx.Err() == nil {
			logr.FromContextOrDiscard(ctx).Info("This replica no longer runs the audit")
		}
	default:
	}
	return nil
}
