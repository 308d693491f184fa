// Command rights compares the rights that meshfence has used, during all tests, with those that the roles in deploy/ grant.
// The tests have left what was used in the folder that is its argument; a right that is missing has failed a test already.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/test/harness"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: rights FOLDER")
	}
	granted, err := harness.CompareRights(args[0])
	if err != nil {
		return err
	}
	used := 0
	var unused []string
	for grant, why := range granted {
		switch {
		case why == nil:
			used++
		case *why == "":
			unused = append(unused, grant.String())
		default:
			fmt.Printf("Rights: not used in any test: %s; %s\n", grant, *why)
		}
	}
	if len(unused) > 0 {
		slices.Sort(unused)
		return fmt.Errorf("granted, and never used in any test: %s; take it out of deploy/chart/templates/rbac.yaml, or test what needs it",
			strings.Join(unused, ", "))
	}
	fmt.Printf("Rights: %d are granted, %d were used, and none was missing\n", len(granted), used)
	return nil
}
