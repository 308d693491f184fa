package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/audit/scan"
)

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
	api, err := s.apiConfig()
	if err != nil {
		return all, err
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	bar := newProgress(stderr)
	defer bar.end()
	found, err := scan.Scan(ctx, api, checker.Existing(stored), scan.Options{Needs: needs, Listed: s.listed, Namespace: namespace, Progress: bar.show})
	if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		return all, fmt.Errorf("the API server %s did not list everything within %v; try again", api.Host, readLimit)
	}
	if err != nil {
		return all, fmt.Errorf("the cluster cannot be read: %w", err)
	}
	all.cluster, all.notices, all.gaps = found.Cluster, found.Notices, found.Unreadable
	for _, gap := range found.Gaps {
		all.gaps = append(all.gaps, gapText(gap))
	}
	return all, nil
}
