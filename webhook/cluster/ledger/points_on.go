//go:build meshfence_testpoints

package ledger

import (
	"os"
	"syscall"
	"time"
)

// Test points, in binaries that are built with the tag meshfence_testpoints only. Environment variables of the process:
//
//	MESHFENCE_TEST_LEDGER=off        changes of meshes are admitted without the ledger
//	MESHFENCE_TEST_CRASH=<point>     the process kills itself when it gets to that point
//	MESHFENCE_TEST_LIFETIME=<time>   how long a claim counts

// point kills the process, as kill -9 does, if it is the one to crash at.
func point(name string) {
	if os.Getenv("MESHFENCE_TEST_CRASH") == name {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// enabled reports whether the protocol is followed.
func enabled() bool { return os.Getenv("MESHFENCE_TEST_LEDGER") != "off" }

// lifetime returns how long a claim counts.
func lifetime() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("MESHFENCE_TEST_LIFETIME")); err == nil {
		return d
	}
	return Lifetime
}
