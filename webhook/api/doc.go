// Package api has the names on which meshfence, Istio, the Sail operator, Kubernetes and users agree: the keys of labels and annotations,
// groups, kinds and resources, the names of objects and users. Each is spelled out here, once; other packages say what it means to them.
// It imports nothing.
package api
