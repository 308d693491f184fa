package harness

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// watchdogScript waits until its standard input ends, which happens when the program that holds the other end stops or
// is killed in whatever way, then kills the process groups that still have a file in $1/pids and removes $1.
const watchdogScript = `cat >/dev/null
for file in "$1"/pids/*; do
	[ -f "$file" ] && kill -KILL "-$(cat "$file")" 2>/dev/null
done
rm -rf "$1"`

// watchdog is a process that outlives this one by a moment and leaves nothing behind. Signals and deferred calls are
// not enough: go test ends a test that takes too long with a panic, and a killed program does not get to do anything.
type watchdog struct {
	dir   string
	cmd   *exec.Cmd
	stdin io.Closer
}

// startWatchdog watches over dir, which it removes in the end. It runs in a process group of its own, so that Ctrl-C at
// a terminal does not end it.
func startWatchdog(dir string) (*watchdog, error) {
	if err := os.MkdirAll(filepath.Join(dir, "pids"), 0o755); err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "meshfence-watchdog", dir)
	cmd.SysProcAttr = ownProcessGroup()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{dir: dir, cmd: cmd, stdin: stdin}, nil
}

// ownProcessGroup makes a process the leader of a new process group: a terminal's Ctrl-C does not reach it, and one
// signal reaches it with all its children.
func ownProcessGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// watch adds a process group leader to those that do not outlive this program. The returned function takes it off
// again; it must be called once the process is known to have ended, before its number can mean another one.
func (w *watchdog) watch(pid int) (func(), error) {
	file := filepath.Join(w.dir, "pids", strconv.Itoa(pid))
	if err := os.WriteFile(file, []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return nil, err
	}
	return func() { _ = os.Remove(file) }, nil
}

// wrap returns the path of an executable that behaves as binary does and is watched over from its first moment. It is
// for programs that other code starts, as envtest does. A question for --help is not recorded: such a process ends
// by itself.
func (w *watchdog) wrap(binary string) (string, error) {
	if _, err := os.Stat(binary); err != nil {
		return "", err
	}
	wrapper := filepath.Join(w.dir, "wrapped-"+filepath.Base(binary))
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = --help ] || echo $$ >%s/pids/%s\nexec %s \"$@\"\n",
		shellQuote(w.dir), filepath.Base(binary), shellQuote(binary))
	return wrapper, os.WriteFile(wrapper, []byte(script), 0o755)
}

// unwrap forgets a process started through wrap, once it has ended.
func (w *watchdog) unwrap(binary string) {
	_ = os.Remove(filepath.Join(w.dir, "pids", filepath.Base(binary)))
}

// close ends the watchdog: what is still watched is killed, and the folder is removed.
func (w *watchdog) close() error {
	if err := w.stdin.Close(); err != nil {
		return err
	}
	return w.cmd.Wait()
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
