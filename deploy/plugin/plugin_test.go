package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var made = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestTheSameFilesMakeTheSameArchive(t *testing.T) {
	files := []file{{"kubectl-meshfence", []byte("program"), 0o755}, {"LICENSE", []byte("licence"), 0o644}}
	for _, name := range []string{"a.tar.gz", "a.zip"} {
		path := filepath.Join(t.TempDir(), name)
		first, err := writeArchive(path, files, made)
		if err != nil {
			t.Fatal(err)
		}
		again, err := writeArchive(path, files, made)
		if err != nil || first != again || len(first) != 64 {
			t.Errorf("%s: %s and %s, %v", name, first, again, err)
		}
		if got, want := contents(t, path), []string{"LICENSE 644 licence", "kubectl-meshfence 755 program"}; !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
		if other, err := writeArchive(path, files[:1], made); err != nil || other == first {
			t.Errorf("%s: other files have the same digest, %v", name, err)
		}
	}
}

// contents are the names, modes and texts of an archive, sorted.
func contents(t *testing.T, path string) []string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	add := func(name string, mode int64, from io.Reader) {
		text, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, name+" "+string([]byte{byte('0' + mode>>6&7), byte('0' + mode>>3&7), byte('0' + mode&7)})+" "+string(text))
	}
	if strings.HasSuffix(path, ".zip") {
		archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			add(f.Name, int64(f.Mode().Perm()), r)
		}
	} else {
		compressed, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		for archive := tar.NewReader(compressed); ; {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			add(header.Name, header.Mode, archive)
		}
	}
	slices.Sort(all)
	return all
}
