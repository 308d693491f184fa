// Package audit judges what exists: a cluster as it stands, files before they are applied, and files laid over a cluster. It uses the rules,
// texts and codes of admission, from package policy, and decides nothing of its own but what admission cannot see.
//
// Everything here is pure: what is known of a cluster is handed in as an Inventory, and findings come out. Reading files is the business of
// package manifest, reading a cluster that of webhook/cluster, and writing findings down that of package report.
package audit
