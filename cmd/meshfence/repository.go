package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/meshfence/meshfence/audit/manifest/files"
)

// theCluster stands for a file in what is told of a cluster.
const theCluster = "the cluster"

// repositories finds what the files of a report are called in the git repositories that they stand in.
type repositories struct {
	// stdinName is what standard input is called, "" if it has no name.
	stdinName string
	// roots are the folders above which was looked already, with the root of their repository, or "".
	roots map[string]string
}

// name is the path of a file relative to the root of its repository, else to the working directory, with slashes. It is never absolute, and never leads
// out of the folder that it is relative to: what reads it has only that. What is no file keeps its name.
func (r *repositories) name(file string) string {
	switch file {
	case files.Stdin:
		return "stdin"
	case r.stdinName, theCluster:
		return within(file)
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return within(file)
	}
	root := r.root(filepath.Dir(path))
	if root == "" {
		root, err = os.Getwd()
	}
	if err == nil {
		if relative, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(relative) {
			return filepath.ToSlash(relative)
		}
	}
	return within(file)
}

// root is the nearest folder with a .git, which is a file in a worktree or a submodule; "" if there is none.
func (r *repositories) root(folder string) string {
	if root, known := r.roots[folder]; known {
		return root
	}
	root := ""
	if _, err := os.Lstat(filepath.Join(folder, ".git")); err == nil {
		root = folder
	} else if parent := filepath.Dir(folder); parent != folder {
		root = r.root(parent)
	}
	if r.roots == nil {
		r.roots = map[string]string{}
	}
	r.roots[folder] = root
	return root
}

// within is a path without what leads out of a folder.
func within(file string) string {
	clean := filepath.ToSlash(filepath.Clean(file[len(filepath.VolumeName(file)):]))
	for {
		rest := strings.TrimPrefix(strings.TrimPrefix(clean, "/"), "../")
		if rest == clean {
			return clean
		}
		clean = rest
	}
}
