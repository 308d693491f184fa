package policy

import (
	"fmt"
	"strings"
)

// Right is what the API server says when it is asked whether the user of the request may do something. The zero value
// means that it could not be asked, which must not be taken for a yes.
type Right int

// Answers to the question for a right.
const (
	Unasked Right = iota
	Refused
	Granted
)

// String returns the right as metrics and the log spell it.
func (r Right) String() string {
	switch r {
	case Granted:
		return "granted"
	case Refused:
		return "refused"
	default:
		return "unavailable"
	}
}

// grant are the commands with which an admin who may grant rights grants one to the user. kubectl creates no role for a resource that
// the API server does not serve, and none with the verb "use" for anything but podsecuritypolicies, unless the resource is
// a star (k8s.io/kubectl/pkg/cmd/create/create_role.go, validateResource); with the resource's name the star gives no more
// than it should.
func grant(role, verb, group, name, user string) []string {
	return []string{
		fmt.Sprintf("kubectl create clusterrole %s --verb=%s --resource='*.%s' --resource-name=%s", ShellWord(role), verb, group, ShellWord(name)),
		fmt.Sprintf("kubectl create clusterrolebinding %s --clusterrole=%s --user=%s", ShellWord(role+"-"+nameFor(user)), ShellWord(role), ShellWord(user)),
	}
}

// nameFor makes a part of an object's name out of a user's: RBAC names are path segments, so anything that is not
// harmless becomes a hyphen.
func nameFor(user string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, user)
}
