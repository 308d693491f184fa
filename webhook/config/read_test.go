package config

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOnlyRegularFilesOfABoundedSizeAreRead(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, size := range map[string]int64{"full": MaxFile, "large": MaxFile + 1} {
		if err := os.WriteFile(path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path(name), size); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	// As the kubelet mounts a ConfigMap.
	if err := os.Mkdir(path("..2026"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("..2026/config.yaml"), []byte(fileHeader), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"..data": "..2026", "config.yaml": "..data/config.yaml"} {
		if err := os.Symlink(to, path(link)); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{
		path("full"): "", path("config.yaml"): "",
		path("large"): "read " + path("large") + ": it is larger than 10 MiB",
		path("pipe"):  "read " + path("pipe") + ": it is no regular file",
		"/dev/zero":   "read /dev/zero: it is no regular file",
		dir:           "read " + dir + ": it is a folder, and no file",
		path("none"):  "open " + path("none") + ": no such file or directory",
	} {
		_, err := ReadFile(file)
		if got := errorText(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, file := range []string{path("pipe"), "/dev/zero"} {
		if _, err := Open(file, nil); err == nil || !strings.HasSuffix(err.Error(), ": it is no regular file") {
			t.Errorf("as a configuration: %v", err)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
