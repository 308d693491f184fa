// Package conditions keeps the match conditions of the webhook configurations up to date: the API server sends what concerns
// the configured discovery labels, the label keys of the live selectors, and the names of namespaces in them (package match).
//
// A configuration has the conditions where the manifest put them; this package writes the expressions only. While the API
// server refuses that, or cannot be reached, the stored ones stay in force, the failure is logged, and the write is tried again every
// few seconds; a mesh whose selectors need others is not admitted meanwhile (Ensure).
package conditions
