// Package cluster is the only one that reads and writes the API server for a judgement. It keeps what a judgement needs in memory, as
// little of it as can be: the namespaces' names and labels, and the fleet as an immutable snapshot that is replaced as a
// whole. It reads the meshes straight from the API server where a cache would not do.
//
// Its rooms, none of which knows this package:
//
//	store       keeps what client-go's reflectors bring, cut down to what is judged
//	conditions  keeps the match conditions of the webhook configurations up to date
//	owner       has the webhook configurations deleted with our own namespace
//	fastlist    lists namespaces with little memory; can be deleted
//	ledger      notes the changes of meshes that are in flight
//	listing     reads a cluster once, for the commands that look at what exists and for the audit
//	events      writes Events of what the audit finds
//	reports     keeps ClusterReports of it
//	memory      keeps it in a ConfigMap
//
// How it fails: while the API server cannot be reached the last known state stays, Synced stays true, and a try to
// reconnect is made every two seconds or faster. Only the API server's own answer that it does not serve a resource (404)
// counts as the absence of its CustomResourceDefinition.
//
// What it may do (the verbs that the ClusterRole and the Role have to grant):
//
//	namespaces                                            list, watch
//	pods                                                  list
//	istios, istiorevisions, istiorevisiontags             list, watch                  (sailoperator.io)
//	configmaps with istio.io/rev, deployments with
//	  app=istiod, mutatingwebhookconfigurations with
//	  istio.io/rev, services with istio.io/tag            list, watch; configmaps get  (unless Options.OnlySail)
//	subjectaccessreviews                                  create                       (authorization.k8s.io)
//	configmaps, the mesh map's name, in our own namespace get, list, watch
//	configmaps, the ledger's name, in our own namespace   get, update; create, which cannot be restricted to a name
//	validating- and mutatingwebhookconfigurations,
//	  the name meshfence                                  get, list, watch, patch      (admissionregistration.k8s.io)
//	the same                                              delete; never used, but some API servers ask for it where owners are written
//	peerauthentications, gateways, gatewayclasses,
//	  istiocnis, ztunnels                                 list                         (the audit, where they are served)
//	events                                                create                       (events.k8s.io; the audit)
//	clusterreports                                        list, create, update, delete (openreports.io; the audit, where served)
//	leases, the audit's name, in our own namespace        get, update; create
//	configmaps, the findings' name, in our own namespace  get, update; create
package cluster
