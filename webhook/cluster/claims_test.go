package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshfence/meshfence/webhook/cluster/ledger"
)

func TestTheLedgerThatWasSeenIsTheLaterOfWhatWasWatchedAndReadOrWritten(t *testing.T) {
	at := func(uid types.UID, version string) ledger.Page {
		return ledger.Page{UID: uid, Version: version, Entries: map[string]string{"at": version}}
	}
	for _, test := range []struct {
		name                 string
		watched, known, want ledger.Page
	}{
		{"nothing", ledger.Page{}, ledger.Page{}, ledger.Page{}},
		{"only watched", at("a", "9"), ledger.Page{}, at("a", "9")},
		{"read or written, and the watch has told of nothing yet", ledger.Page{}, at("a", "9"), ledger.Page{}},
		{"read or written, and the watch is behind", at("a", "9"), at("a", "10"), at("a", "10")},
		{"read or written, and the watch has told of it", at("a", "10"), at("a", "10"), at("a", "10")},
		{"read or written, and by somebody else since", at("a", "11"), at("a", "10"), at("a", "11")},
		{"read or written, and made anew by somebody else", at("b", "11"), at("a", "10"), at("b", "11")},
		{"made anew, with versions that begin anew", at("b", "2"), at("a", "10"), at("b", "2")},
		{"versions that are no numbers", at("a", "x"), at("a", "y"), at("a", "x")},
	} {
		s := newClaims(nil, "meshfence-system")
		s.known = test.known
		if test.watched.Version != "" {
			s.seen.put(Claims, version{}, test.watched)
		}
		got, ok := s.Recent()
		if diff := cmp.Diff(test.want, got); diff != "" || ok != (test.want.Version != "") {
			t.Errorf("%s: known %t (-want +got):\n%s", test.name, ok, diff)
		}
	}
}

func TestALedgerThatCannotBeReadWasNotSeen(t *testing.T) {
	s := newClaims(nil, "meshfence-system")
	for _, data := range []any{"a", map[string]any{"a": int64(1)}} {
		object := configMap(nil)
		object.SetUID("u")
		object.SetResourceVersion("5")
		object.Object["data"] = data
		if err := s.seen.Update(object); err != nil {
			t.Fatal(err)
		}
		if page, ok := s.Recent(); ok {
			t.Errorf("%v: seen as %v", data, page)
		}
	}
}
