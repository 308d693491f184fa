package webhook

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/meshfence/meshfence/webhook/cluster/ledger"
	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// Cluster is what the webhooks need of the API server; package cluster has it. Its methods are safe for concurrent use.
type Cluster interface {
	// Synced reports whether what informers know is complete.
	Synced() bool
	// Fleet is the fleet as informers know it. It calls the API server as little as Known does.
	Fleet() *mesh.Fleet
	// Known returns the meshes as informers know them.
	Known() mesh.Objects
	// Live returns the meshes as they are stored now.
	Live(ctx context.Context) (mesh.Objects, error)
	// Namespaces returns the cluster's namespaces, by name, with the labels of these keys at least. It calls keys if there are namespaces
	// of which it does not have all labels. An error means that it could not get some of those; they are as they are known then.
	Namespaces(ctx context.Context, keys func() []string) ([]mesh.Namespace, error)
	// Pods looks at no more than limit pods of a namespace, and no longer than the context lasts. What it could not see
	// is no error, but said in what it returns.
	Pods(ctx context.Context, namespace string, limit int) mesh.Pods
	// Runs reports whether the Deployment of the istiod of a revision, which the Sail operator did not install, is stored and not being deleted.
	Runs(ctx context.Context, namespace, revision string) (bool, error)
	// Allowed asks the API server what a user may do. An error means that it could not be asked.
	Allowed(ctx context.Context, review authorizationv1.SubjectAccessReviewSpec) (bool, error)
	// Admit admits changes of meshes so that no two that are in flight at once can be at odds. It calls judge with what a change is to
	// be judged against, perhaps several times; the last answer counts.
	Admit(ctx context.Context, change ledger.Change, judge func(ledger.State) bool) error
	// EnsureKeys makes the API server ask about the namespaces that selectors can match.
	EnsureKeys(ctx context.Context, asked match.Scope) error
}
