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

func TestNoLineIsACommandToAWorkflow(t *testing.T) {
	for text, want := range map[string]string{
		"::error::x": "\ufffd:error::x", "  ::add-mask::x": "  \ufffd:add-mask::x", "a ::error::x": "a ::error::x", "a##[error]b": "a#\ufffd[error]b", "##vso[x]": "#\ufffdvso[x]",
		"a\n::error::x": "a\ufffd::error::x", "\u00a0::x": "\u00a0\ufffd:x", "": "", "::": "\ufffd:",
	} {
		if got := terminal.Line(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got, want := terminal.Lines("a\n\t::b\nc\x1b"), "a\n\t\ufffd:b\nc\ufffd"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
