// Package owner has the webhook configurations deleted with the namespace of meshfence: it keeps a reference to that Namespace, as their owner, in both, by
// which Kubernetes' garbage collector knows. Without it a namespace that is deleted, and not uninstalled, would leave webhooks behind that refuse
// everything.
//
// The uid of a Namespace is known at run time only, so no manifest can have the reference. It blocks no deletion and names no controller. A finalizer would
// do more, and keep the namespace for ever when no replica is left to remove it.
//
// Argo CD neither prunes nor deletes what has an owner (gitops-engine, pkg/cache, GetManagedLiveObjs). So a configuration with Argo CD's own annotation
// gets no reference: its Application deletes it, and without that a deleted Application would leave the webhooks behind.
//
// How it fails: a write that is refused is logged once, and tried again every ten seconds. No request waits for it.
package owner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/webhook/cluster/store"
)

const (
	// fieldManager is the name under which the API server notes what was written here. It is not that of the match conditions, so that a tool which
	// meets a conflict says of which field.
	fieldManager = "meshfence-owner"
	// trackedByArgo is the annotation by which Argo CD knows what is its own (its resource tracking method annotation, the default since 3.0).
	trackedByArgo = "argocd.argoproj.io/tracking-id"

	// retryEvery is the pause after which a failed write is tried again.
	retryEvery = 10 * time.Second
	// writeTimeout limits one look and the writes that follow from it.
	writeTimeout = 20 * time.Second
	// writesAtOnce and writeEvery bound the writes, should another client take the reference away again and again.
	writesAtOnce = 5
	writeEvery   = 4 * time.Second
)

// Options say what a Keeper writes, and whose owner is whose.
type Options struct {
	// Namespace is the name of our own namespace, Name that of both webhook configurations.
	Namespace, Name string
	// Owned says whether the configurations are to have the owner; false takes it away.
	Owned bool
	// Namespaces, Validating and Mutating are the resources.
	Namespaces, Validating, Mutating dynamic.ResourceInterface
}

// Keeper keeps the reference in both configurations. Every replica has one, without an election: all write the same, and only onto the version that they
// have read.
type Keeper struct {
	options Options
	// uid is that of the namespace; no value while there is none.
	uid            *store.Store[types.UID]
	configurations []*configuration
	limiter        *rate.Limiter
	// wake has room for one signal; more would say the same.
	wake chan struct{}
	// told is the failure that was logged last.
	told string
}

// configuration is one of the webhook configurations, and what was last seen of it.
type configuration struct {
	client dynamic.ResourceInterface
	seen   *store.Store[owned]
}

// owned is what says whether a configuration has the owner that it should.
type owned struct {
	owners  []metav1.OwnerReference
	tracked bool
}

// New returns a Keeper. Its reflectors and Run are to be started.
func New(o Options) *Keeper {
	k := &Keeper{options: o, limiter: rate.NewLimiter(rate.Every(writeEvery), writesAtOnce), wake: make(chan struct{}, 1)}
	k.uid = store.New(metav1.Object.GetUID, k.wakeUp)
	for _, client := range []dynamic.ResourceInterface{o.Validating, o.Mutating} {
		k.configurations = append(k.configurations, &configuration{client: client, seen: store.New(ownedOf, k.wakeUp)})
	}
	return k
}

func ownedOf(object metav1.Object) owned {
	return owned{owners: object.GetOwnerReferences(), tracked: object.GetAnnotations()[trackedByArgo] != ""}
}

// Reflectors returns what watches the namespace and the configurations.
func (k *Keeper) Reflectors() []*cache.Reflector {
	all := []*cache.Reflector{store.NewReflector("own namespace", store.Objects(k.options.Namespaces, k.options.Namespace), k.uid)}
	for _, c := range k.configurations {
		all = append(all, store.NewReflector("owner of webhook configuration", store.Objects(c.client, k.options.Name), c.seen))
	}
	return all
}

// wakeUp makes Run look soon. It never blocks.
func (k *Keeper) wakeUp() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Run keeps the references until the context ends.
func (k *Keeper) Run(ctx context.Context) {
	ticker := time.NewTicker(retryEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-ticker.C:
		}
		if err := k.look(ctx); ctx.Err() == nil {
			k.tell(ctx, err)
		}
	}
}

// tell logs a failure, once.
func (k *Keeper) tell(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != k.told {
		log.FromContext(ctx).Error(err, "cannot have the webhook configurations deleted with the namespace; until it can, delete them before you delete the namespace",
			"namespace", k.options.Namespace, "configurations", k.options.Name)
	}
	k.told = text
}

// look writes the references that are not as they should be by what was last seen.
func (k *Keeper) look(ctx context.Context) error {
	uids := k.uid.Values()
	if len(uids) != 1 {
		return nil // It is not known yet, or the namespace is gone and we with it.
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	var errs []error
	for _, c := range k.configurations {
		for _, seen := range c.seen.Values() {
			if reflect.DeepEqual(k.wanted(seen, uids[0]), seen.owners) {
				continue
			}
			if err := k.limiter.Wait(ctx); err != nil {
				return err
			}
			errs = append(errs, retry.RetryOnConflict(retry.DefaultBackoff, func() error { return k.write(ctx, c.client, uids[0]) }))
		}
	}
	return errors.Join(errs...)
}

// write writes the owners of one configuration, if there is one and they are not as they should be.
func (k *Keeper) write(ctx context.Context, client dynamic.ResourceInterface, uid types.UID) error {
	stored, err := client.Get(ctx, k.options.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	seen := ownedOf(stored)
	owners := k.wanted(seen, uid)
	if reflect.DeepEqual(owners, seen.owners) {
		return nil
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": stored.GetResourceVersion(), "ownerReferences": owners}})
	if err != nil {
		return err
	}
	if _, err := client.Patch(ctx, k.options.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("write the owner of the %s %s: %w", stored.GetKind(), k.options.Name, err)
	}
	log.FromContext(ctx).Info("wrote with which namespace a webhook configuration is deleted", "kind", stored.GetKind(), "name", k.options.Name,
		"namespace", k.options.Namespace, "owners", len(owners))
	return nil
}

// wanted returns the owners that a configuration should have: those of others, and the namespace by its uid unless there is to be none or Argo CD
// deletes it. It returns nil for none.
func (k *Keeper) wanted(seen owned, uid types.UID) []metav1.OwnerReference {
	ours := metav1.OwnerReference{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Namespace", Name: k.options.Namespace, UID: uid}
	var owners []metav1.OwnerReference
	there := seen.tracked || !k.options.Owned
	for _, owner := range seen.owners {
		if owner.APIVersion != ours.APIVersion || owner.Kind != ours.Kind || owner.Name != ours.Name {
			owners = append(owners, owner)
		} else if !there {
			owners, there = append(owners, ours), true
		}
	}
	if !there {
		owners = append(owners, ours)
	}
	return owners
}
