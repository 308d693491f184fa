// Package transcript replays the consoles that the documentation shows, so that every command in it does what it says.
//
// A transcript is a block of console below a comment that names it, <!-- transcript: NAME -->. Each line that begins with "$ " is a
// command for a shell, and the lines below it are what it prints. "..." on a line of its own stands for any lines or none, and elsewhere for any
// characters of that line. A command whose last documented line is an error, besides what is indented below it, has to fail, and every other one to succeed.
package transcript

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/test/harness"
)

// Transcript is one console.
type Transcript struct {
	Name     string
	Commands []Command
}

// Command is a line for a shell, and what it prints as it is documented.
type Command struct{ Line, Output string }

// block finds a console with or without its name.
func block() *regexp.Regexp {
	return regexp.MustCompile("(?s)(?:<!-- transcript: ([-a-z]+) -->\n)?```console\n(.*?)```")
}

// fence finds a line that begins or ends a fenced block; pasted and indented a command that a reader would paste, the latter in a block
// without fences.
func fence() *regexp.Regexp  { return regexp.MustCompile("^[ \t>]*(?:`{3,}|~{3,})") }
func pasted() *regexp.Regexp { return regexp.MustCompile(`^\s*(?:\$ )?(?:helm|kubectl|oc) `) }
func indented() *regexp.Regexp {
	return regexp.MustCompile(`^(?: {4}|\t)\s*(?:\$ )?(?:helm|kubectl|oc) `)
}

// data returns how blocks begin that hold no commands: YAML, and the language of Terraform.
func data() []string { return []string{"```yaml", "```hcl"} }

// loose returns the first line that would be a command that no test replays, or that begins a block which could hold some: outside of consoles,
// the only blocks are data.
func loose(document string) string {
	begin, inside := "", false // How the block begins, and whether there is one.
	for line := range strings.Lines(document) {
		line = strings.TrimSuffix(line, "\n")
		switch found := fence().MatchString(line); {
		case found && inside:
			inside = false
		case found:
			begin, inside = line, true
			if begin != "```console" && !slices.Contains(data(), begin) {
				return line
			}
		case inside && begin != "```console" && pasted().MatchString(line), !inside && indented().MatchString(line):
			return line
		}
	}
	return ""
}

// Parse returns the transcripts of a Markdown document in their order. A command outside of them is an error, as are a block that is neither
// a console nor data, a transcript without a name, and two with the same.
func Parse(document string) ([]Transcript, error) {
	if line := loose(document); line != "" {
		return nil, fmt.Errorf("not in a transcript: %s", line)
	}
	var all []Transcript
	seen := map[string]bool{"": true}
	for _, found := range block().FindAllStringSubmatch(document, -1) {
		name, text := found[1], found[2]
		if seen[name] {
			return nil, fmt.Errorf("a transcript has no name, or one that another has: %q\n%s", name, text)
		}
		seen[name] = true
		transcript := Transcript{Name: name}
		for _, command := range strings.Split("\n"+text, "\n$ ")[1:] {
			line, output, _ := strings.Cut(command, "\n")
			transcript.Commands = append(transcript.Commands, Command{Line: line, Output: output})
		}
		if len(transcript.Commands) == 0 {
			return nil, fmt.Errorf("the transcript %q has no commands", name)
		}
		all = append(all, transcript)
	}
	return all, nil
}

// Read returns the transcripts of a file of the repository, named from its top folder.
func Read(file string) ([]Transcript, error) {
	root, err := harness.Root()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		return nil, err
	}
	return Parse(string(text))
}

// Check returns an error unless a command has printed what is documented.
func (c Command) Check(printed string) error {
	var pattern strings.Builder
	for line := range strings.Lines(strings.TrimSpace(c.Output)) {
		if line = strings.TrimSuffix(line, "\n"); line == "..." {
			pattern.WriteString(`(?:.*\n)*`)
		} else {
			pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `.*`) + `\n`)
		}
	}
	text := strings.TrimSpace(printed)
	if text != "" {
		text += "\n"
	}
	if !regexp.MustCompile("^" + pattern.String() + "$").MatchString(text) {
		return fmt.Errorf("$ %s\nprints\n%s\nbut the documentation shows\n%s", c.Line, printed, c.Output)
	}
	return nil
}

// failure is the beginning of what kubectl and helm say when they fail, about the whole or about an object that the API server finds invalid.
func failure() *regexp.Regexp { return regexp.MustCompile(`^(?:Error\b|The .* is invalid\b)`) }

// fails tells whether the documentation shows that a command fails: its last line says so, but for what the webhook says of it, which is
// indented, or left out.
func (c Command) fails() bool {
	lines := strings.Split(strings.TrimSpace(c.Output), "\n")
	for len(lines) > 1 && (lines[len(lines)-1] == "..." || strings.HasPrefix(lines[len(lines)-1], "  ")) {
		lines = lines[:len(lines)-1]
	}
	return failure().MatchString(lines[len(lines)-1])
}

// run runs a command with a shell in a folder. It returns what was printed, and an error unless that, and whether the command succeeds, is as documented.
func (c Command) run(ctx context.Context, dir string, env []string) (string, error) {
	shell := exec.CommandContext(ctx, "sh", "-c", c.Line)
	shell.Dir, shell.Env = dir, env
	text, err := shell.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || !exit.Exited()) {
		return "", fmt.Errorf("$ %s\nis not run to its end: %w\n%s", c.Line, err, text)
	}
	if (err != nil) != c.fails() {
		return "", fmt.Errorf("$ %s\nends with %v, but the documentation shows\n%s\nIt prints\n%s", c.Line, shell.ProcessState, c.Output, text)
	}
	return string(text), c.Check(string(text))
}

// Replay replays the transcript of this name in docs/install.md, as the administrator of a cluster, in Dir. It returns all that was printed.
func Replay(ctx context.Context, cluster *harness.Cluster, name string) (string, error) {
	dir, err := Dir(cluster)
	if err != nil {
		return "", err
	}
	env, err := cluster.UserEnv()
	if err != nil {
		return "", err
	}
	return ReplayIn(ctx, filepath.Join("docs", "install.md"), name, dir, env)
}

// ReplayIn replays a transcript of a document in a folder, with an environment.
func ReplayIn(ctx context.Context, document, name, dir string, env []string) (string, error) {
	all, err := Read(document)
	if err != nil {
		return "", err
	}
	var printed strings.Builder
	for _, transcript := range all {
		if transcript.Name != name {
			continue
		}
		for _, command := range transcript.Commands {
			text, err := command.run(ctx, dir, env)
			if err != nil {
				return "", err
			}
			printed.WriteString(text)
		}
		return printed.String(), nil
	}
	return "", fmt.Errorf("%s has no transcript %q", document, name)
}

// Dir is the folder in which a cluster's transcripts run. It has what they need of the repository, and they may find other files there.
func Dir(cluster *harness.Cluster) (string, error) {
	root, err := harness.Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cluster.Dir(), "transcripts")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.Symlink(filepath.Join(root, "deploy"), filepath.Join(dir, "deploy")); !errors.Is(err, os.ErrExist) {
		return dir, err
	}
	return dir, nil
}
