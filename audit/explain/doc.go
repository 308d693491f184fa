// Package explain says why a namespace is in a mesh or not, and what a mesh, a revision or a tag amounts to. It judges nothing of its own: what is
// wrong, and what the webhook would answer, comes from package audit.
package explain
