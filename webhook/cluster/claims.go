package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/cluster/conditions"
	"github.com/meshfence/meshfence/webhook/cluster/ledger"
	"github.com/meshfence/meshfence/webhook/cluster/store"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Claims is the name of the ConfigMap, in our own namespace, that holds the ledger of changes in flight.
const Claims = api.Claims

// Admit judges a change of a mesh against live state and what is in flight; see package ledger. An error is worded for
// people and says what they can do.
func (c *Cluster) Admit(ctx context.Context, change ledger.Change, judge func(ledger.State) bool) error {
	err := c.ledger.Admit(ctx, change, judge)
	if damaged := (*ledger.DamagedError)(nil); errors.As(err, &damaged) {
		log.FromContext(ctx).Info("the ledger is damaged", "entry", damaged.Key, "problem", damaged.Err.Error())
		return fmt.Errorf("%w. It was edited by hand; remove that entry with kubectl patch configmap %s -n %s --type=json "+
			`-p '[{"op":"remove","path":"/data/%s"}]'`, err, Claims, c.options.Namespace, damaged.Key)
	}
	return err
}

// tellLedger makes a conversion that also tells the ledger of every object that is seen.
func (c *Cluster) tellLedger(convert func(metav1.Object) *sail.ControlPlane) func(metav1.Object) *sail.ControlPlane {
	return func(object metav1.Object) *sail.ControlPlane {
		c.ledger.Stored(string(object.GetUID()))
		return convert(object)
	}
}

// lister lists what is stored, for the ledger.
type lister struct{ *Cluster }

// Live lists past all caches. The kind is that of an object which an API server is about to store: another one that does
// not serve it is behind, and its answer that there are none would be wrong.
func (s lister) Live(ctx context.Context, kind string) (mesh.Objects, error) {
	return s.live(ctx, kind)
}

// claims keeps the ledger in a ConfigMap, which is meshfence's alone: the next write drops what others have added.
type claims struct {
	client    dynamic.ResourceInterface
	namespace string
	// seen is the ConfigMap as a watch has told of it.
	seen *store.Store[ledger.Page]

	mu sync.Mutex
	// known is the page that was last read or written here, of which the watch may not have told yet.
	known ledger.Page
}

// newClaims returns the ledger's store. shown is called with the ledger whenever a watch shows another one.
func newClaims(client dynamic.ResourceInterface, namespace string, shown func(ledger.Page)) *claims {
	s := &claims{client: client, namespace: namespace}
	s.seen = store.New(watchedLedger, func() { shown(s.watched()) })
	return s
}

// watched returns the ledger as a watch has last told of it; a zero Page if there is none.
func (s *claims) watched() ledger.Page {
	var seen ledger.Page
	for _, page := range s.seen.Values() {
		seen = page
	}
	return seen
}

// watchedLedger is how the ConfigMap is kept in memory. One whose data cannot be read is none that can be used.
func watchedLedger(object metav1.Object) ledger.Page {
	if stored, ok := object.(*unstructured.Unstructured); ok {
		if page, err := decodeLedger(stored); err == nil {
			return page
		}
	}
	return ledger.Page{}
}

func decodeLedger(stored *unstructured.Unstructured) (ledger.Page, error) {
	entries, _, err := unstructured.NestedStringMap(stored.Object, "data")
	return ledger.Page{UID: stored.GetUID(), Version: stored.GetResourceVersion(), Entries: entries}, err
}

// Recent returns what the watch has told of, or what was read or written here since.
func (s *claims) Recent() (ledger.Page, bool) {
	seen := s.watched()
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen.UID == s.known.UID {
		if order, err := resourceversion.CompareResourceVersion(seen.Version, s.known.Version); err == nil && order < 0 {
			return s.known, true
		}
	}
	return seen, seen.Version != ""
}

// Read gets the ConfigMap from the API server, which asks etcd for it.
func (s *claims) Read(ctx context.Context) (ledger.Page, error) {
	stored, err := s.client.Get(ctx, Claims, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		s.remember(ledger.Page{})
		return ledger.Page{}, nil
	}
	if err != nil {
		return ledger.Page{}, err
	}
	page, err := decodeLedger(stored)
	if err != nil {
		return ledger.Page{}, err
	}
	s.remember(page)
	return page, nil
}

// remember keeps a page for Recent.
func (s *claims) remember(page ledger.Page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = page
}

// Write replaces the data of the very ConfigMap that was read.
func (s *claims) Write(ctx context.Context, read ledger.Page, entries map[string]string) (types.UID, error) {
	configMap := &unstructured.Unstructured{}
	configMap.SetAPIVersion("v1")
	configMap.SetKind("ConfigMap")
	configMap.SetNamespace(s.namespace)
	configMap.SetName(Claims)
	configMap.SetLabels(map[string]string{"app.kubernetes.io/name": "meshfence"})
	configMap.SetAnnotations(map[string]string{
		api.AboutAnnotation: "Changes of meshes that meshfence has allowed and that may not be stored yet. meshfence tidies it up; do not edit.",
	})
	data := map[string]any{}
	for key, value := range maps.All(entries) {
		data[key] = value
	}
	configMap.Object["data"] = data
	var written *unstructured.Unstructured
	var err error
	if read.Version == "" {
		written, err = s.client.Create(ctx, configMap, metav1.CreateOptions{FieldManager: conditions.FieldManager})
	} else {
		configMap.SetResourceVersion(read.Version)
		configMap.SetUID(read.UID)
		written, err = s.client.Update(ctx, configMap, metav1.UpdateOptions{FieldManager: conditions.FieldManager})
	}
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err) && read.Version != "":
		return "", ledger.ErrConflict
	case err != nil:
		return "", err
	}
	page, err := decodeLedger(written)
	if err != nil {
		return "", err
	}
	s.remember(page)
	return page.UID, nil
}
