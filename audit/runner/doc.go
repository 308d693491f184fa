// Package runner runs the audit in the server: it looks at the cluster from time to time and after changes, judges what it sees by the rules of the
// webhook, and hands what it has found to those that tell of it. Of several replicas the one that holds a Lease does so; nothing else depends on that.
package runner
