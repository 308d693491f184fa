// Package istiod reads what an istiod reads: its mesh configuration. It is beside package sail, which has the Sail operator's objects that such
// configurations are made from. Everything here is pure.
package istiod
