// Package policy is the catalogue of rules: pure functions from (old object, new object, fleet) to findings, and from
// findings to a verdict. It also decides what is filled in.
//
// The package is pure: no context, client, logger or clock, and it never writes to an argument. So every rule is a row
// of a table, and a test that needs a server to check a rule is in the wrong package.
//
// To add a rule: one file with one function and its table test, one line in catalogue.go, one section in the docs.
package policy
