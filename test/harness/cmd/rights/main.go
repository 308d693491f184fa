// Command rights compares the rights that meshfence has used, during all tests, with those that the roles in deploy/ grant.
// The tests have left what was used in the folder that is its argument; a right that is missing has failed a test already.
package main

import (
	"fmt"
	"os"

	"github.com/meshfence/meshfence/test/harness"
)

func main() {
	if len(os.Args) != 2 {
		fail("usage: rights FOLDER")
	}
	granted, err := harness.CompareRights(os.Args[1])
	if err != nil {
		fail(err)
	}
	unused, used := 0, 0
	for grant, why := range granted {
		switch {
		case why == nil:
			used++
		case *why == "":
			fmt.Fprintln(os.Stderr, "granted, and never used in any test:", grant)
			unused++
		default:
			fmt.Printf("Rights: not used in any test: %s; %s\n", grant, *why)
		}
	}
	if unused > 0 {
		fail("take it out of deploy/chart/templates/rbac.yaml, or test what needs it")
	}
	fmt.Printf("Rights: %d are granted, %d were used, and none was missing\n", len(granted), used)
}

func fail(why any) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
