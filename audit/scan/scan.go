package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/client-go/rest"

	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/webhook/cluster/listing"
	"github.com/meshfence/meshfence/webhook/policy"
)

// maxSuspects is how many ConfigMaps are read a second time, to see whether istiods fight over them.
const maxSuspects = 50

// Options say what to read.
type Options struct {
	// Needs are the resources to read. Without any, nothing is.
	Needs []observed.Resource
	// Listed are objects that were read already, as JSON, by resource. A resource with an entry, even an empty one, is not read again.
	Listed map[string][][]byte
	// PageSize, if not 0, is how many objects are asked for at once.
	PageSize int64
	// Namespace, if not "", limits what is in namespaces to that one.
	Namespace string
	// Progress, if not nil, is called with the number of objects read so far, by resource.
	Progress func(resource string, count int)
}

// Seen is what was read.
type Seen struct {
	// Cluster is never nil.
	Cluster *observed.Cluster
	// Gaps are the resources that could not be read.
	Gaps []listing.Gap
	// Absent are those that the API server does not serve: there are no such objects.
	Absent []string
	// Unreadable says of objects why they could not be read, a line each, and Notices what was left out on purpose.
	Unreadable, Notices []string
}

// Scan reads what the options say. The error says that the API server could not be reached, or did not answer in the context's time.
func Scan(ctx context.Context, api *rest.Config, existing policy.Existing, o Options) (Seen, error) {
	seen := Seen{Cluster: &observed.Cluster{}}
	if len(o.Needs) == 0 {
		return seen, nil
	}
	observer, err := listing.NewObserver(api)
	if err != nil {
		return seen, err
	}
	observer.Progress, observer.Namespace, observer.PageSize = o.Progress, o.Namespace, o.PageSize
	observer.Wants = func(resource string) bool {
		_, read := o.Listed[resource]
		return !read && slices.Contains(o.Needs, observed.Resource(resource))
	}
	for _, resource := range o.Needs {
		for _, raw := range o.Listed[string(resource)] {
			seen.add(resource, raw)
		}
	}
	gaps, err := observer.Read(ctx, observed.TrustBundles(existing.Fleet), func(resource string, raw []byte) error {
		return seen.Cluster.Add(observed.Resource(resource), raw)
	})
	if err != nil {
		return seen, err
	}
	seen.miss(gaps)
	for _, again := range seen.Cluster.Suspects(existing, maxSuspects) {
		if raw := observer.ConfigMap(ctx, again.Namespace, again.Name); raw != nil {
			seen.add(observed.RootCertificates, raw)
		}
	}
	return seen, nil
}

func (s *Seen) add(resource observed.Resource, raw []byte) {
	if err := s.Cluster.Add(resource, raw); err != nil {
		s.Unreadable = append(s.Unreadable, err.Error())
	}
}

// miss keeps what was not read, and has the rules that need it not judged.
func (s *Seen) miss(gaps []listing.Gap) {
	for _, gap := range gaps {
		switch {
		case gap.Why == nil:
			s.Absent = append(s.Absent, gap.Resource)
		case errors.Is(gap.Why, listing.ErrEnough):
			s.Notices = append(s.Notices, fmt.Sprintf("%s: only the first %d were looked at", gap.Resource, s.Cluster.Count(observed.Resource(gap.Resource))))
		default:
			s.Gaps = append(s.Gaps, gap)
			s.Cluster.Miss(observed.Resource(gap.Resource), gap.Resource+" cannot be read")
		}
	}
}
