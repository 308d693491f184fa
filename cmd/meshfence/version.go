package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by the linker (-ldflags "-X main.version=…"), never by the program: the release, the git commit, and the date of the
// commit in RFC 3339. Empty in a binary that `go build` or `go install` made without them.
var (
	version string
	commit  string
	date    string
)

// release says what this binary is.
type release struct{ version, commit, date, goVersion, platform string }

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, _ := debug.ReadBuildInfo()
			if _, err := fmt.Fprint(cmd.OutOrStdout(), thisRelease(info)); err != nil {
				return &failure{err}
			}
			return nil
		},
	}
}

// thisRelease takes what the linker set, and for the rest what the go command recorded; info may be nil.
func thisRelease(info *debug.BuildInfo) release {
	recorded := map[string]string{}
	var module string
	if info != nil {
		module = info.Main.Version
		for _, s := range info.Settings {
			recorded[s.Key] = s.Value
		}
	}
	if module == "(devel)" {
		module = ""
	}
	return release{
		version:   cmp.Or(version, module, "dev"),
		commit:    cmp.Or(commit, recorded["vcs.revision"], "unknown"),
		date:      cmp.Or(date, recorded["vcs.time"], "unknown"),
		goVersion: runtime.Version(),
		platform:  runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// String returns the lines that `meshfence version` prints.
func (r release) String() string {
	return fmt.Sprintf("meshfence %s\n  commit    %s\n  date      %s\n  go        %s\n  platform  %s\n",
		r.version, r.commit, r.date, r.goVersion, r.platform)
}
