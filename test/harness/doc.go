// Package harness runs meshfence as users do, on one machine and without a container engine: a real kube-apiserver and
// etcd, the manifests of deploy/ as they are installed, and the real binary as its own process, asked over TLS.
//
// A Cluster is one API server with one set of CustomResourceDefinitions. It is started once and cleaned between cases
// with Reset. RunCase runs one case script (see test/cases/README.md) against it.
//
// Nothing outlives the program that started it, however that ends: see watchdog.
//
// What a real cluster has and this one lacks: there is no kubelet, no scheduler and no controller but one, which
// finishes deleted namespaces as the namespace controller does. Nothing acts on an Istio, a Deployment or an owner
// reference.
package harness
