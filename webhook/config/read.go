package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// MaxFile is how many bytes a file of configuration may have: 10 MiB, ten times what a ConfigMap can hold.
const MaxFile = 10 << 20

// ReadFile reads a regular file, or one that symbolic links lead to, of at most MaxFile bytes. What is none could keep the program waiting, as a pipe
// does, or fill its memory, as /dev/zero does. The error is an *fs.PathError.
func ReadFile(path string) ([]byte, error) {
	// It looks at what was opened, since a path can become another file at any time, and does not wait for the other end of a pipe.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is a folder, and no file")}
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is no regular file")}
	}
	text, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err == nil && len(text) > MaxFile {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is larger than %d MiB", MaxFile>>20)}
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}
