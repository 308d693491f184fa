package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"strings"
	"time"
)

// writeArchive writes a .zip or .tar.gz, and returns its SHA-256 in hexadecimal digits.
func writeArchive(path string, files []file, date time.Time) (string, error) {
	var content bytes.Buffer
	var err error
	if strings.HasSuffix(path, ".zip") {
		err = writeZip(&content, files, date)
	} else {
		err = writeTar(&content, files, date)
	}
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content.Bytes())
	return hex.EncodeToString(sum[:]), os.WriteFile(path, content.Bytes(), 0o644)
}

func writeTar(to *bytes.Buffer, files []file, date time.Time) error {
	compressed := gzip.NewWriter(to)
	archive := tar.NewWriter(compressed)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.content)), Mode: f.mode, ModTime: date, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(f.content); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return compressed.Close()
}

func writeZip(to *bytes.Buffer, files []file, date time.Time) error {
	archive := zip.NewWriter(to)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: date}
		header.SetMode(fs.FileMode(f.mode))
		w, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := w.Write(f.content); err != nil {
			return err
		}
	}
	return archive.Close()
}
