// Command plugin is `make plugin`: it builds meshfence as a plugin of kubectl for all platforms, packs each, and writes the manifest by which krew, the
// plugin manager of kubectl, installs them. The same commit gives the same archives.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/meshfence/meshfence/deploy/build"
)

func main() {
	var o options
	var date, only string
	flag.StringVar(&o.out, "out", "bin/plugin", "`FOLDER` that the archives and the manifest go to")
	flag.StringVar(&o.version, "version", "dev", "`VERSION` of the release, as in v1.2.3")
	flag.StringVar(&o.ldflags, "ldflags", "-s -w", "`FLAGS` of the linker")
	flag.StringVar(&date, "date", "", "`TIME` of the commit, RFC 3339: that of all files in the archives")
	flag.StringVar(&only, "platforms", "", "build for these only, comma-separated, for example linux/amd64")
	flag.Parse()
	// A build outside of a clone has no commit, and so no date.
	var err error
	if o.date, err = time.Parse(time.RFC3339, date); err != nil {
		o.date = time.Unix(0, 0).UTC()
	}
	if o.platforms, err = build.Choose(only, platforms()); err == nil {
		err = o.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "plugin:", err)
		os.Exit(1)
	}
}

// options say what is built.
type options struct {
	out, version, ldflags string
	date                  time.Time
	platforms             []build.Platform
}

// run builds and packs for each platform, then writes the manifest.
func (o *options) run() error {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	m := newManifest(o.version)
	for _, chosen := range o.platforms {
		p := platform{chosen}
		archive := filepath.Join(o.out, p.archive())
		sum, err := o.pack(p, archive)
		if err != nil {
			return fmt.Errorf("%s: %w", p.archive(), err)
		}
		fmt.Println(archive)
		m.add(p, sum)
	}
	text, err := m.yaml()
	if err != nil {
		return err
	}
	manifest := filepath.Join(o.out, pluginName+".yaml")
	fmt.Println(manifest)
	return os.WriteFile(manifest, text, 0o644)
}

// pack builds for a platform and writes the archive. It returns its SHA-256.
func (o *options) pack(p platform, archive string) (string, error) {
	dir, err := os.MkdirTemp("", "meshfence-plugin-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, p.binary())
	var files []file
	if err = p.Binary(".", binary, o.ldflags); err == nil {
		files, err = p.files(binary)
	}
	var sum string
	if err == nil {
		sum, err = writeArchive(archive, files, o.date)
	}
	return sum, errors.Join(err, os.RemoveAll(dir))
}
