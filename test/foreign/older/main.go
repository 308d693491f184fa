// Command older writes Istio's chart of istiod, of an older version than package foreign compares with, to a folder: a module can have one version of another one
// only, so this is a module of its own.
package main

import (
	"fmt"
	"io/fs"
	"os"

	"istio.io/istio/manifests"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: older FOLDER")
		os.Exit(2)
	}
	chart, err := fs.Sub(manifests.FS, "charts/istio-control/istio-discovery")
	if err == nil {
		err = os.CopyFS(os.Args[1], chart)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "older:", err)
		os.Exit(1)
	}
}
