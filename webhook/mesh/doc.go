// Package mesh models the fleet: every mesh of the cluster, the revision tags and the mesh map, as an immutable
// snapshot, and answers the two questions that everything else rests on: which meshes discover a namespace, and which
// revision injects its pods.
//
// The package is pure: it reads no clock and calls no service. A Fleet and everything reachable from it is never written
// after NewFleet returns, so it can be shared between goroutines.
package mesh
