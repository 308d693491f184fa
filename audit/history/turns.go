package history

import "github.com/meshfence/meshfence/audit"

// InTurns orders a list so that its groups take turns: the first of each group, then the second of each, with the groups in the order in which they first appear. Where there
// is not room for all, no group takes the place of another.
func InTurns[T any](all []T, group func(T) string) []T {
	turns := [][]T{}
	seen := map[string]int{}
	for _, item := range all {
		g := group(item)
		turn := seen[g]
		seen[g]++
		if turn == len(turns) {
			turns = append(turns, nil)
		}
		turns[turn] = append(turns[turn], item)
	}
	ordered := make([]T, 0, len(all))
	for _, turn := range turns {
		ordered = append(ordered, turn...)
	}
	return ordered
}

// Place is the namespace that an object is in, or is: that of its tenant.
func Place(kind, namespace, name string) string {
	if kind == audit.KindNamespace {
		return name
	}
	return namespace
}
