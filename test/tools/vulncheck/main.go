// Command vulncheck looks known vulnerabilities of the program up with govulncheck, where the database of them answers. Where it does not, it says that nothing was checked, and
// succeeds: a machine without a way out can be verified too.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// found is govulncheck's status for vulnerabilities that the program has.
const found = 3

// check is what is checked, and how long that may take.
type check struct {
	govulncheck, database   string
	packages                []string
	answerLimit, scansLimit time.Duration
}

func main() {
	c := check{}
	flag.StringVar(&c.govulncheck, "govulncheck", "bin/tools/govulncheck", "`PATH` of govulncheck")
	flag.StringVar(&c.database, "db", "", "`URL` of the database, a file:// one too; Go's own if it is empty")
	flag.DurationVar(&c.answerLimit, "answer-limit", 10*time.Second, "how long the database may take for its first answer")
	flag.DurationVar(&c.scansLimit, "limit", 5*time.Minute, "how long all may take")
	flag.Parse()
	c.packages = flag.Args()
	if c.database == "" {
		c.database = "https://vuln.go.dev"
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := c.run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "vuln-check: %v\n", err)
		os.Exit(1)
	}
}

// run writes what was found, or that nothing was checked. The error says that something was found, or why govulncheck failed.
func (c check) run(ctx context.Context, out io.Writer) error {
	if err := c.answers(ctx); err != nil {
		fmt.Fprintf(out, "vuln-check: nothing was checked, the database of vulnerabilities does not answer: %v\n", err)
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, c.scansLimit)
	defer cancel()
	var text bytes.Buffer
	cmd := exec.CommandContext(limited, c.govulncheck, append([]string{"-db", c.database}, c.packages...)...)
	cmd.Stdout, cmd.Stderr = &text, &text
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		fmt.Fprintf(out, "vuln-check: nothing was checked, the database of vulnerabilities did not answer within %s\n", c.scansLimit)
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == found:
		fmt.Fprint(out, text.String())
		return errors.New("vulnerabilities were found")
	case strings.Contains(text.String(), "fetching vulnerabilities"), strings.Contains(text.String(), "unrecognized vulndb format"):
		fmt.Fprintf(out, "vuln-check: nothing was checked, the database of vulnerabilities does not answer: %s\n", lastLine(text.String()))
		return nil
	default:
		return fmt.Errorf("govulncheck: %w\n%s", err, text.String())
	}
}

// answers asks the database for what changes with every entry (https://go.dev/doc/security/vuln/database). Files always answer.
func (c check) answers(ctx context.Context) error {
	if strings.HasPrefix(c.database, "file://") {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.answerLimit, fmt.Errorf("no answer within %s", c.answerLimit))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.database, "/")+"/index/db.json", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", c.database, response.Status)
	}
	return nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
