package files

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Kubernetes mounts a ConfigMap as a folder in which each file is a link to ..data/FILE, and ..data is a link to a folder with a time for its name:
// so all files of a new version come at once (k8s.io/kubernetes pkg/volume/util/atomic_writer.go).
const mountedData = "..data"

// folder is one that was named, with all below it.
type folder struct {
	path string
	// real is its absolute path without links.
	real string
	// files are those to read, and what is to be told instead.
	files []file
	// within is how many of the files are there to be read, or to be told that they cannot.
	within int
}

// addFolder walks a folder. A link in it to another folder is not followed, so that no loop is possible.
func (r *reader) addFolder(path string) {
	f := &folder{path: path}
	var err error
	if f.real, err = realPath(path); err != nil {
		r.files = append(r.files, file{path: path, problem: plain(err)})
		return
	}
	f.walk(path)
	if f.within == 0 {
		text := "it has no file that ends in .yaml, .yml or .json"
		if len(f.files) > 0 {
			text += " besides what is skipped"
		}
		f.files = append(f.files, file{path: path, problem: text})
	}
	r.files = append(r.files, f.files...)
}

// walk reads a folder in the order of names.
func (f *folder) walk(path string) {
	entries, err := os.ReadDir(path)
	if err != nil {
		f.problem(path, plain(err))
	}
	mounted := mountedFolder(path)
	for _, entry := range entries {
		below := filepath.Join(path, entry.Name())
		switch {
		case mounted != "" && (entry.Name() == mountedData || entry.Name() == mounted): // read by the links that lead there
		case entry.Type()&fs.ModeSymlink != 0:
			f.link(below)
		case entry.IsDir() && strings.HasPrefix(entry.Name(), "."):
			f.notice(below, "skipped, as it is a hidden folder")
		case entry.IsDir():
			f.walk(below)
		case !isManifest(below):
		case !entry.Type().IsRegular():
			f.problem(below, "it is no regular file")
		case isKustomization(entry.Name()):
			f.notice(below, "the folder is read as it lies; to check what is built of it: kubectl kustomize "+path+" | meshfence check -f -")
		default:
			f.read(below)
		}
	}
}

// mountedFolder returns the name of the folder that has the files of a mounted ConfigMap; "" if the folder is none.
func mountedFolder(path string) string {
	target, err := os.Readlink(filepath.Join(path, mountedData))
	if err != nil || filepath.Base(target) != target {
		return ""
	}
	return target
}

// link reads what a link leads to, if that is a file of the same folder that is not read anyway.
func (f *folder) link(path string) {
	target, err := realPath(path)
	if err != nil {
		if isManifest(path) {
			f.notice(path, "skipped, as it is a symbolic link that leads nowhere")
		}
		return
	}
	info, err := os.Stat(target)
	inside, errInside := filepath.Rel(f.real, target)
	switch {
	case err != nil:
		f.problem(path, plain(err))
	case info.IsDir():
		f.notice(path, "skipped, as it is a symbolic link to a folder; name it to have it read")
	case !isManifest(path):
	case errInside != nil || !filepath.IsLocal(inside):
		f.notice(path, "skipped, as it is a symbolic link to a file outside of "+filepath.ToSlash(f.path)+"; name it to have it read")
	case !info.Mode().IsRegular():
		f.problem(path, "it is no regular file")
	case isManifest(target) && !isHidden(inside):
		f.notice(path, "skipped, as it is a symbolic link to "+filepath.ToSlash(filepath.Join(f.path, inside))+", which is read")
	default:
		f.read(path)
	}
}

// realPath returns the absolute path without links: a link may lead to an absolute path though its folder was named by a relative one.
func realPath(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}

// isHidden reports whether a file is in a hidden folder.
func isHidden(path string) bool {
	folders := strings.Split(filepath.ToSlash(filepath.Dir(path)), "/")
	return slices.ContainsFunc(folders, func(name string) bool { return name != "." && strings.HasPrefix(name, ".") })
}

func (f *folder) read(path string) {
	f.files = append(f.files, file{path: path})
	f.within++
}

func (f *folder) problem(path, text string) {
	f.files = append(f.files, file{path: path, problem: text})
	f.within++
}

func (f *folder) notice(path, text string) { f.files = append(f.files, file{path: path, notice: text}) }

func isManifest(path string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path))
}

func isKustomization(name string) bool {
	return slices.Contains([]string{"kustomization.yaml", "kustomization.yml"}, name)
}
