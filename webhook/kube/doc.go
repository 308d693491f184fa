// Package kube has the fields that meshfence reads of Kubernetes' own objects, a Namespace and the mesh map's ConfigMap, and turns them
// into what is judged. It is beside package sail, which has those of the Sail operator's objects.
package kube
