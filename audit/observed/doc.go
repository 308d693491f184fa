// Package observed judges what a cluster has besides the objects that are judged at admission: root certificates, injector webhooks,
// PeerAuthentications, pods, gateways and the state of control planes. These are the rules MF901 to MF916, each in a file of its own.
//
// Everything here is pure: a Cluster is filled with objects as JSON, one after the other, and keeps the few fields that a rule reads.
// Listing them is the business of webhook/cluster/listing.
package observed
