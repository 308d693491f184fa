// Package model is a cluster in memory in which the commands of messages are tried: what a person would paste is read, carried out
// as kubectl would, and judged, and then what the message named is judged again.
//
// It needs no API server, so that its tests try the commands of thousands of random clusters with it. test/remedies does
// the same against a real one, with the same clusters, and checks the reading of commands against the real kubectl.
package model
