package review

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// usualReview is what an API server sends, with every field that there is.
const usualReview = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"0df28fbd-5f5f-11e8-bc74-36e6bb280816",` +
	`"kind":{"group":"","version":"v1","kind":"Namespace"},"resource":{"group":"","version":"v1","resource":"namespaces"},"subResource":"status",` +
	`"requestKind":{"group":"","version":"v1","kind":"Namespace"},"requestResource":{"group":"","version":"v1","resource":"namespaces"},"requestSubResource":"status",` +
	`"name":"shop","namespace":"shop","operation":"UPDATE","userInfo":{"username":"jane\u00e9","uid":"7","groups":["a","b"],"extra":{"scopes":["x","y"],"none":[]}},` +
	`"object":{"kind":"Namespace","metadata":{"name":"shop"}},"oldObject":null,"dryRun":true,"options":{"kind":"PatchOptions"},"later":[1,{"a":null}]}}`

// spoilt are changes of a text that make it unusual, or none at all.
func spoilt(text string) []string {
	all := []string{
		text, "", " ", "null", "[]", "{}", `"x"`, "5", "{", text + "{}", text + " \n", text + "x", text[:len(text)-3], "[" + text + "]", "\ufeff" + text, strings.ToUpper(text),
		strings.Replace(text, `":"`, `":"\ud800`, 1), strings.Replace(text, `":"`, "\":\"\xff", 1), strings.Replace(text, `":"`, `":"`+"\n", 1), strings.Replace(text, `":"`, `":"\x`, 1),
		strings.Replace(text, `{`, `{"response":5,`, 1), strings.Replace(text, `{`, `{"response":{"allowed":true},`, 1),
		strings.Replace(text, `{`, `{"deep":`+strings.Repeat("[", 9999)+strings.Repeat("]", 9999)+",", 1),
		strings.Replace(text, `{`, `{"deep":`+strings.Repeat("[", 10000)+strings.Repeat("]", 10000)+",", 1),
		strings.Replace(text, `{`, `{"deep":`+strings.Repeat(`{"a":`, 10001)+"1"+strings.Repeat("}", 10001)+",", 1),
	}
	for i := range text {
		// Every name in another case or with an escape, every value of another type, every name twice.
		rest := text[i:]
		switch name, _, isName := strings.Cut(strings.TrimPrefix(rest, `"`), `":`); {
		case !strings.HasPrefix(rest, `"`) || !isName || strings.ContainsAny(name, `",:{}[]`) || name == "":
		default:
			after := rest[len(name)+3:]
			for _, value := range []string{"null", "5", "-0", "1e400", "true", "false", `"x"`, "[]", "{}", `{"a":1}`, `{"a":null}`, `["a",null]`, `{"a":["b"]}`} {
				all = append(all, text[:i]+`"`+name+`":`+value+","+rest, text[:i]+`"`+name+`":`+value+strings.TrimLeft(after, `"abcdefghijklmnopqrstvwxyz0123456789-./:TZ\u`))
			}
			all = append(all, text[:i]+`"`+strings.ToUpper(name)+`":`+after, text[:i]+`"\u00`+hex(name[0])+name[1:]+`":`+after, text[:i]+`"unknown":0,`+rest)
		}
	}
	return all
}

func hex(b byte) string { return string("0123456789abcdef"[b>>4]) + string("0123456789abcdef"[b&15]) }

// checkScan fails if the scan takes what the machinery's decoder does not take, or reads something else.
func checkScan(t *testing.T, body []byte) (taken bool) {
	t.Helper()
	got, ok := scanReview(body)
	if !ok {
		return false
	}
	want, err := decodeStock(body)
	if err != nil {
		t.Fatalf("%q was taken, and is not: %v", body, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%q (-want +got):\n%s", body, diff)
	}
	return true
}

func TestWhatAnAPIServerSendsIsReadByTheScanAlone(t *testing.T) {
	if !checkScan(t, []byte(usualReview)) {
		t.Error("the review is left to the other decoder")
	}
}

func TestTheScanTakesNothingThatTheOtherDecoderRefusesOrReadsDifferently(t *testing.T) {
	taken, all := 0, spoilt(usualReview)
	for _, body := range all {
		if checkScan(t, []byte(body)) {
			taken++
		}
	}
	if len(all) < 200 || taken < 10 || taken > len(all)/2 {
		t.Errorf("of %d texts %d were taken, so there is little to see here", len(all), taken)
	}
}

// This is what makes the fast decoder a matter of speed alone: with either one a handler passes on the same requests, and gives the
// same answers, byte for byte.
func TestBothDecodersAnswerAlike(t *testing.T) {
	read, refused := 0, 0
	for _, body := range spoilt(usualReview) {
		fast, stock := exchange(t, decodeFast, body), exchange(t, decodeStock, body)
		if diff := cmp.Diff(stock, fast); diff != "" {
			t.Fatalf("%q (-stock +fast):\n%s", body, diff)
		}
		if stock.Request == nil {
			refused++
		} else {
			read++
		}
	}
	if read < 10 || refused < 10 {
		t.Errorf("%d were passed on and %d refused, so there is little to see here", read, refused)
	}
}

// exchanged is what became of a body: the request that was passed on, if it was, and the answer.
type exchanged struct {
	Request *admissionv1.AdmissionRequest
	Answer  string
}

// exchange sends a body to a handler with one of the decoders.
func exchange(t *testing.T, decode func([]byte) (*admissionv1.AdmissionReview, error), body string) (e exchanged) {
	t.Helper()
	h := newHandler(admission.HandlerFunc(func(_ context.Context, req admission.Request) admission.Response {
		e.Request = req.DeepCopy()
		return admission.Denied("no").WithWarnings("why")
	}), options())
	h.decode = decode
	w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	h.ServeHTTP(w, r)
	e.Answer = w.Body.String()
	return e
}

func FuzzScan(f *testing.F) {
	for i, body := range spoilt(usualReview) {
		if i%16 == 0 && len(body) < 1<<12 {
			f.Add([]byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) { checkScan(t, body) })
}

// BenchmarkDecode shows what the fast decoder gains, of a review as API servers send it.
func BenchmarkDecode(b *testing.B) {
	body := sentReview()
	for name, decode := range map[string]func([]byte) (*admissionv1.AdmissionReview, error){"fast": decodeFast, "stock": decodeStock} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// sentReview is the review of an UPDATE of a namespace with the fields that most have.
func sentReview() []byte {
	const stored = `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","uid":"a55e2b1b-2a4c-4f3c-9a1f-6b0f6a0e3a9e","resourceVersion":"123456",` +
		`"creationTimestamp":"2026-08-01T12:00:00Z","labels":{"app.kubernetes.io/part-of":"shop","kubernetes.io/metadata.name":"shop"},` +
		`"annotations":{"example.com/owner":"somebody@example.com"},"managedFields":[{"manager":"kubectl","operation":"Update","apiVersion":"v1",` +
		`"time":"2026-08-01T12:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{".":{},"f:kubernetes.io/metadata.name":{}}}}}]},` +
		`"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}}`
	return []byte(strings.NewReplacer(`{"kind":"Namespace","metadata":{"name":"shop"}}`, stored, `"oldObject":null`, `"oldObject":`+stored).Replace(usualReview))
}
