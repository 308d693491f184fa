package policy

import "github.com/meshfence/meshfence/webhook/spelling"

// longest is the length of the longest name that Kubernetes has; the cost of a comparison grows with it.
const longest = 253

// nearest returns the candidate that a person most likely meant by name: the one with the smallest edit distance, the
// first of equals, or "" if none is within a third of the name's length (and at least one edit).
func nearest(name string, candidates []string) string {
	if len(name) > longest {
		return ""
	}
	best, limit := "", max(1, len(name)/3)+1
	for _, candidate := range candidates {
		if d := spelling.Distance(name, candidate); d < limit {
			best, limit = candidate, d
		}
	}
	return best
}
