package model

import (
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/policy"
)

// forShell reports whether a way out has commands to paste into a shell. Where the object is not stored yet it has lines of its manifest
// instead, and what only says something has neither.
func forShell(way policy.Way) bool {
	return slices.ContainsFunc(way.Commands, func(command string) bool {
		return strings.HasPrefix(command, "kubectl ") || strings.HasPrefix(command, "echo ")
	})
}
