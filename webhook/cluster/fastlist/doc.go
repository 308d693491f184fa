// Package fastlist lists all namespaces with less memory than client-go does: it reads the API server's protobuf while it comes and
// hands on one namespace at a time, of which it decodes the name, the labels and the deletion timestamp. It knows nothing of meshes,
// and what it lists is what client-go's metadata client lists (TestAListHasWhatClientGoLists, FuzzNamespaceList).
//
// # MEASUREMENTS
//
// To delete it, delete the line of webhook/cluster/resources.go that uses it, and the package.
package fastlist
