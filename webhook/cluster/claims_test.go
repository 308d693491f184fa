package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

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
		s := newClaims(nil, "meshfence-system", func(ledger.Page) {})
		s.known = test.known
		if test.watched.Version != "" {
			configMap := configMap(map[string]any{"at": test.watched.Version})
			configMap.SetName(Claims)
			configMap.SetUID(test.watched.UID)
			configMap.SetResourceVersion(test.watched.Version)
			if err := s.seen.Add(configMap); err != nil {
				t.Fatal(err)
			}
		}
		got, ok := s.Recent()
		if diff := cmp.Diff(test.want, got); diff != "" || ok != (test.want.Version != "") {
			t.Errorf("%s: known %t (-want +got):\n%s", test.name, ok, diff)
		}
	}
}

func TestALedgerThatCannotBeReadWasNotSeen(t *testing.T) {
	s := newClaims(nil, "meshfence-system", func(ledger.Page) {})
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

// An API server that stores no other ConfigMap than the one that was read refuses with a conflict; but only if it is told
// which one that was.
func TestTheLedgerIsReplacedOnlyIfItIsTheOneThatWasRead(t *testing.T) {
	for _, test := range []struct {
		name   string
		read   ledger.Page
		status int
		want   string
		err    error
	}{
		{"there is none", ledger.Page{}, http.StatusCreated, "POST  ", nil},
		{"there is none, and another replica makes one", ledger.Page{}, http.StatusConflict, "POST  ", ledger.ErrConflict},
		{"there is one", ledger.Page{UID: "u", Version: "5"}, http.StatusOK, "PUT u 5", nil},
		{"there is one, and another replica writes it", ledger.Page{UID: "u", Version: "5"}, http.StatusConflict, "PUT u 5", ledger.ErrConflict},
		{"there is one, and it is deleted", ledger.Page{UID: "u", Version: "5"}, http.StatusNotFound, "PUT u 5", ledger.ErrConflict},
	} {
		var got string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			object := &unstructured.Unstructured{}
			if err := json.NewDecoder(r.Body).Decode(&object.Object); err != nil {
				t.Error(err)
			}
			got = fmt.Sprintf("%s %s %s", r.Method, object.GetUID(), object.GetResourceVersion())
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(test.status)
			object.SetResourceVersion("6")
			object.SetUID("u")
			reply := object.Object
			if test.status >= http.StatusBadRequest {
				reply = map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": test.status}
			}
			if err := json.NewEncoder(w).Encode(reply); err != nil {
				t.Error(err)
			}
		}))
		client := dynamic.NewForConfigOrDie(&rest.Config{Host: server.URL}).Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"})
		s := newClaims(client.Namespace("meshfence-system"), "meshfence-system", func(ledger.Page) {})
		uid, err := s.Write(t.Context(), test.read, map[string]string{"k": "claim"})
		server.Close()
		if got != test.want || !errors.Is(err, test.err) || (err == nil) != (uid == "u") {
			t.Errorf("%s: asked for %q, want %q; %v, want %v", test.name, got, test.want, err, test.err)
		}
	}
}

func TestWhatAWatchShowsOfTheLedgerIsHandedOn(t *testing.T) {
	var shown []ledger.Page
	s := newClaims(nil, "meshfence-system", func(page ledger.Page) { shown = append(shown, page) })
	for version, data := range map[string]string{"5": "a", "6": "b"} {
		object := configMap(map[string]any{"k": data})
		object.SetUID("u")
		object.SetResourceVersion(version)
		if err := s.seen.Update(object); err != nil {
			t.Fatal(err)
		}
		want := ledger.Page{UID: "u", Version: version, Entries: map[string]string{"k": data}}
		if len(shown) == 0 || !cmp.Equal(shown[len(shown)-1], want) {
			t.Errorf("shown %v, want %v", shown, want)
		}
	}
}
