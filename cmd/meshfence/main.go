// Command meshfence keeps several Istio control planes in one cluster apart: an admission webhook that refuses the changes
// which would put one namespace into two meshes. `meshfence --help` says what it can do.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses.
const (
	statusOK     = 0
	statusFailed = 1 // the command could not do its work
	statusUsage  = 2 // the command line is wrong
)

// main ends gracefully on SIGTERM and SIGINT. After the first signal the handler is taken away, so that a second one ends
// the program at once.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
