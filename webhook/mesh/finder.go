package mesh

// Finder finds which of some meshes discover a namespace. It is immutable.
type Finder struct {
	meshes []*Mesh
	index  index
}

// NewFinder makes a Finder of meshes, which it keeps. To ask about thousands of namespaces it costs less than asking each
// mesh.
func NewFinder(meshes ...*Mesh) *Finder {
	return &Finder{meshes: meshes, index: newIndex(meshes)}
}

// Discover reports whether any of the meshes discovers a namespace with these labels. It does not allocate.
func (f *Finder) Discover(labels map[string]string) bool { return f.index.any(labels) }

// AppendDiscovering appends those of the meshes, in order, that discover a namespace with these labels.
func (f *Finder) AppendDiscovering(to []*Mesh, labels map[string]string) []*Mesh {
	var room [8]int32
	for _, i := range f.index.matching(room[:0], labels) {
		to = append(to, f.meshes[i])
	}
	return to
}
