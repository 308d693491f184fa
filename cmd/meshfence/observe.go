package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/webhook/cluster/listing"
)

// maxSuspects is how many ConfigMaps are read a second time, to see whether istiods fight over them.
const maxSuspects = 50

// seen is what was read of a cluster besides the objects that are judged at admission.
type seen struct {
	cluster *observed.Cluster
	// gaps are what could not be read, notices what was left out on purpose, each a line for a person.
	gaps, notices []string
}

// observe reads what the rules that only a look at the cluster can judge need. Without any of them it reads nothing.
func (s *source) observe(ctx context.Context, checker *audit.Checker, stored *audit.Inventory, stderr io.Writer) (seen, error) {
	return s.observeOnly(ctx, checker, stored, stderr, observed.Needs(checker.Policy), "")
}

// observeNamespace reads what there is to see of one namespace.
func (s *source) observeNamespace(ctx context.Context, checker *audit.Checker, stored *audit.Inventory, stderr io.Writer, namespace string) (seen, error) {
	needs := []observed.Resource{observed.RootCertificates, observed.Injectors, observed.Istiods, observed.Pods}
	all, err := s.observeOnly(ctx, checker, stored, stderr, needs, namespace)
	for _, r := range observed.Needs(checker.Policy) {
		if !slices.Contains(needs, r) {
			all.cluster.Miss(r, "is not read for one namespace")
		}
	}
	return all, err
}

// observeOnly reads some resources, in one namespace if that is not "".
func (s *source) observeOnly(ctx context.Context, checker *audit.Checker, stored *audit.Inventory, stderr io.Writer, needs []observed.Resource, namespace string) (seen, error) {
	all := seen{cluster: &observed.Cluster{}}
	if len(needs) == 0 {
		return all, nil
	}
	api, err := s.apiConfig()
	if err != nil {
		return all, err
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	bar := newProgress(stderr)
	defer bar.end()
	observer, err := listing.NewObserver(api)
	if err != nil {
		return all, err
	}
	existing := checker.Existing(stored)
	observer.Progress, observer.Namespace = bar.show, namespace
	observer.Wants = func(resource string) bool {
		_, read := s.listed[resource]
		return !read && slices.Contains(needs, observed.Resource(resource))
	}
	for _, resource := range needs {
		for _, raw := range s.listed[string(resource)] {
			if err := all.cluster.Add(resource, raw); err != nil {
				all.gaps = append(all.gaps, err.Error())
			}
		}
	}
	gaps, err := observer.Read(ctx, observed.TrustBundles(existing.Fleet), func(resource string, raw []byte) error {
		return all.cluster.Add(observed.Resource(resource), raw)
	})
	if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		return all, fmt.Errorf("the API server %s did not list everything within %v; try again", api.Host, readLimit)
	}
	if err != nil {
		return all, fmt.Errorf("the cluster cannot be read: %w", err)
	}
	for _, gap := range gaps {
		if errors.Is(gap.Why, listing.ErrEnough) {
			all.notices = append(all.notices, fmt.Sprintf("%s: only the first %d were looked at", gap.Resource, all.cluster.Count(observed.Resource(gap.Resource))))
			continue
		}
		all.gaps = append(all.gaps, gapText(gap))
		all.cluster.Miss(observed.Resource(gap.Resource), gap.Resource+" cannot be read")
	}
	for _, again := range all.cluster.Suspects(existing, maxSuspects) {
		if raw := observer.ConfigMap(ctx, again.Namespace, again.Name); raw != nil {
			if err := all.cluster.Add(observed.RootCertificates, raw); err != nil {
				all.gaps = append(all.gaps, err.Error())
			}
		}
	}
	return all, nil
}
