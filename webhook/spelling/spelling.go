// Package spelling tells how far a misspelt word is from one that exists, for messages that ask "did you mean …?". It is
// pure.
package spelling

// Distance is how many bytes are to be inserted, deleted or replaced to get from a to b, two neighbours that change places
// counting once (the optimal string alignment distance; the words compared are ASCII). Its cost in time is the product of
// the lengths: callers bound what comes from outside.
func Distance(a, b string) int {
	// Three rows of the table: before and last end at the two bytes of a that come before the one of row.
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(last[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
