//go:build !unix

package files

// nonBlocking is nothing where a file cannot be a pipe.
const nonBlocking = 0
