// Package manifest reads Kubernetes objects from YAML and JSON texts as kubectl does, and knows at which line and column each of their fields
// stands.
//
// An object is what sigs.k8s.io/yaml makes of its text, since that is what kubectl sends: YAML 1.1, in which yes is a boolean. Positions come
// from the nodes of go.yaml.in/yaml/v3, which are made only for what a position is asked of: most objects are fine.
//
// The package reads no file; that is the business of package files.
package manifest
