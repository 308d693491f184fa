// Package picture shows the meshes of a cluster: which namespaces each of them discovers, which revision injects those, and what is wrong there.
// A Map goes in and a text comes out, in one of eight formats: tree and wide for a terminal, json and yaml for programs, mermaid and dot for
// documents, svg and html for a browser.
//
// The package is pure and knows no cluster, fleet or rule: its structs are filled by its caller, and an argument is never written to. The same
// map gives the same bytes, whatever the order of what is in it. What comes out is safe where it is shown: names are text and never markup, a
// terminal gets no control characters, and a page loads nothing from anywhere.
package picture
