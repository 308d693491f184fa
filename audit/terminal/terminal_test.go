package terminal_test

import (
	"testing"

	"github.com/meshfence/meshfence/audit/terminal"
)

func TestWhatATerminalWouldObeyIsReplaced(t *testing.T) {
	for text, want := range map[string]string{
		"plain \u00e9 \u2192": "plain \u00e9 \u2192", "a\x1b[31mb": "a\ufffd[31mb", "a\nb\rc\td": "a\ufffdb\ufffdc\ufffdd",
		"\u202eabc": "\ufffdabc", "a\u2028b\u2029": "a\ufffdb\ufffd", "a\u009bb": "a\ufffdb",
	} {
		if got := terminal.Printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
