// Package config is the configuration file of `meshfence serve`: its types, its defaults, a strict reader, and a watch that
// reads it again when it changes.
//
// The file is YAML. Only the first two lines are needed; every other field that is absent has its default:
//
//	apiVersion: meshfence.io/v1alpha1
//	kind: Configuration
//	mode: enforce
//	rules: {MF110: off}
//	discoveryLabels: [istio-discovery, mesh]
//
// A list that is given explicitly counts as it is, also when it is empty; a list that is absent has its default.
//
// Reading is strict because a typing error in a guard's configuration must not quietly switch the guard off: unknown
// fields, duplicate keys, null values, wrong types, bad values and further YAML documents are all errors. Every problem
// of a file is reported, not only the first, each with its line and the path of its field.
//
// The package does not know which rules exist (that is policy's business); the caller hands in their codes.
package config
