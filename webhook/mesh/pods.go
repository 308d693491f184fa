package mesh

import "github.com/meshfence/meshfence/webhook/api"

// PodRevisionAnnotation is on every pod that an istiod has injected. Its value is that istiod's own revision, never a tag
// (istio/manifests/charts/istio-control/istio-discovery/files/injection-template.yaml).
const PodRevisionAnnotation = api.RevisionLabel

// Pods is what a bounded look at the pods of a namespace has seen.
type Pods struct {
	// Seen is how many pods were looked at, without those that are being deleted.
	Seen int
	// Revisions counts the pods by the value of PodRevisionAnnotation; those without it are not in it.
	Revisions map[string]int
	// Stopped says why the look ended before it had seen all pods, for example "after 300 ms"; "" if it has seen all.
	Stopped string
}
