package certs

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hours is a plan in round numbers: the authority is replaced after 20 hours, the serving certificate after 6.
func hours() plan {
	return plan{name: "meshfence", dnsNames: []string{"a.b.svc", "a.b.svc.cluster.local"}, caLifetime: 30 * time.Hour, lifetime: 9 * time.Hour, settle: time.Minute}
}

var (
	trusted   = func(*x509.Certificate) bool { return true }
	untrusted = func(*x509.Certificate) bool { return false }
)

// step advances a state, stores it and reads it back, as a replica does.
func step(t *testing.T, s *state, now time.Time, isTrusted func(*x509.Certificate) bool) (*state, bool) {
	t.Helper()
	after, changed, err := hours().advance(s, now, isTrusted)
	if err != nil {
		t.Fatal(err)
	}
	data, err := after.encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(back.trusted(), back, now); err != nil {
		t.Fatalf("what is served is not what is trusted: %v", err)
	}
	return back, changed
}

// verify checks a state's serving certificate as the API server does with this caBundle.
func verify(bundle []byte, s *state, now time.Time) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	_, err := s.serving.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "a.b.svc", CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

// If days pass in steps of a quarter of an hour, then whoever trusts what was stored at the step before can verify what is
// served now, and whoever serves what was stored at the step before can be verified by what is trusted now.
func TestOldAndNewOverlapForDays(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	before, _ := step(t, &state{}, now, trusted)
	authorities, certificates := map[string]bool{}, map[string]bool{}
	most := 0
	for range 4 * 24 * 10 {
		now = now.Add(15 * time.Minute)
		after, _ := step(t, before, now, trusted)
		if err := verify(before.trusted(), after, now); err != nil {
			t.Fatalf("%s: an API server that has not seen the new caBundle refuses the new certificate: %v", now, err)
		}
		if err := verify(after.trusted(), before, now); err != nil {
			t.Fatalf("%s: an API server that has seen the new caBundle refuses the certificate of a replica that has not followed: %v", now, err)
		}
		authorities[after.current.cert.SerialNumber.String()] = true
		certificates[after.serving.Leaf.SerialNumber.String()] = true
		most = max(most, strings.Count(string(after.trusted()), "BEGIN"))
		before = after
	}
	// 10 days: an authority every 20 hours, a certificate every 6 and with each authority.
	if len(authorities) < 10 || len(certificates) < 35 || most > 3 {
		t.Errorf("%d authorities, %d certificates, at most %d authorities trusted at once", len(authorities), len(certificates), most)
	}
}

func TestAdvance(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	first, changed := step(t, &state{}, begin, trusted)
	if !changed {
		t.Fatal("nothing was made at the beginning")
	}
	announced, _ := step(t, first, begin.Add(20*time.Hour), trusted)
	other, _ := step(t, &state{}, begin, trusted)
	long := hours()
	long.caLifetime *= 10
	ahead, tooLong := made(t, hours(), begin.Add(61*24*time.Hour)), made(t, long, begin)
	later, err := newAuthority("later", begin.Add(time.Hour), 20*time.Hour)
	must(t, err)
	nearly := made(t, hours(), begin.Add(4*time.Minute))
	signed := func(lifetime time.Duration, at time.Duration) *tls.Certificate {
		t.Helper()
		c, err := first.current.sign(hours().dnsNames, begin.Add(at), lifetime)
		must(t, err)
		return c
	}
	for _, test := range []struct {
		name      string
		from      *state
		now       time.Duration
		isTrusted func(*x509.Certificate) bool
		want      string
	}{
		{"if all is well, then nothing changes", first, 5 * time.Hour, trusted, ""},
		{"if two thirds of the certificate's time are over, then there is a new one", first, 6 * time.Hour, trusted, "serving"},
		{"if two thirds of the authority's time are over, then the next one is announced", first, 20 * time.Hour, trusted, "next serving"},
		{"if the next authority has not settled, then it does not sign", announced, 20*time.Hour + 59*time.Second, trusted, ""},
		{"if the next authority is not in every caBundle, then it does not sign", announced, 20*time.Hour + time.Hour, untrusted, ""},
		{"if the next authority has settled, then it signs and the old one stays trusted", announced, 20*time.Hour + time.Minute, trusted, "current next old serving"},
		{"if the authority has ended while nobody looked, then there is another", first, 31 * time.Hour, trusted, "current serving"},
		{"if it has ended with the next one announced, then that one signs", announced, 30*time.Hour + time.Second, untrusted, "current next serving"},
		{"if the certificate cannot be used, then there is a new one", &state{current: first.current}, 0, trusted, "serving"},
		{"if it is of another authority, then there is a new one", &state{current: first.current, serving: other.serving}, 0, trusted, "serving"},
		{"if the certificate begins in the future, then there is a new one", &state{current: first.current, serving: signed(5*time.Hour, time.Hour)}, 0, trusted, "serving"},
		{"if the next authority begins in the future, then it is forgotten", &state{current: first.current, next: later, serving: first.serving}, 0, trusted, "next"},
		{"if it is longer than planned, then there is a new one", &state{current: first.current, serving: signed(10*time.Hour, 0)}, 0, trusted, "serving"},
		{"if it is of a clock that is four minutes ahead, then it stays", &state{current: first.current, serving: signed(9*time.Hour, 4*time.Minute)}, 0, trusted, ""},
		{"if it is over sooner than in the time by which it is backdated, then there is a new one when it is over", &state{current: first.current, serving: signed(-4*time.Minute, 0)}, -3 * time.Minute, trusted, "serving"},
		{"if the authority begins in the future, then there is another", &state{current: ahead.current, serving: ahead.serving}, 0, trusted, "current serving"},
		{"if it begins in the future and there is a next one, then that one signs", &state{current: ahead.current, next: first.current, serving: ahead.serving}, 0, untrusted, "current next serving"},
		{"if it is longer than planned, then the next one is announced", &state{current: tooLong.current, serving: tooLong.serving}, 0, trusted, "next"},
		{"if it is of a clock that is four minutes ahead, then it stays", nearly, 0, trusted, ""},
		{"if the next one is longer than planned, then it is forgotten", &state{current: first.current, next: tooLong.current, serving: first.serving}, 0, trusted, "next"},
		{"if one that is too long has a next one, then it is trusted until a certificate of that is renewed", &state{current: tooLong.current, next: first.current, serving: tooLong.serving}, 7 * time.Hour, trusted, "current next old serving"},
		{"if an old authority begins in the future, then it is forgotten", &state{current: first.current, serving: first.serving, old: []*x509.Certificate{ahead.current.cert}}, 0, trusted, "old"},
		{"if an old authority is too long, then it is trusted until the certificate is renewed", &state{current: first.current, serving: first.serving, old: []*x509.Certificate{tooLong.current.cert}}, 5 * time.Hour, trusted, ""},
		{"if an old authority is too long and the certificate is renewed, then it is forgotten", &state{current: first.current, serving: first.serving, old: []*x509.Certificate{tooLong.current.cert}}, 6 * time.Hour, trusted, "old serving"},
		{"if an old authority has ended, then it is forgotten", &state{current: first.current, serving: first.serving, old: []*x509.Certificate{ended(t, begin)}}, 0, trusted, "old"},
	} {
		t.Run(test.name, func(t *testing.T) {
			after, changed := step(t, test.from, begin.Add(test.now), test.isTrusted)
			if got := differences(test.from, after); got != test.want || changed != (test.want != "") {
				t.Errorf("changed %t: %q, want %q", changed, got, test.want)
			}
			if again, changed := step(t, after, begin.Add(test.now), test.isTrusted); changed {
				t.Errorf("at the same moment it changes again: %q", differences(after, again))
			}
		})
	}
	if got := hours().nextLook(announced, begin.Add(20*time.Hour)); got != time.Minute {
		t.Errorf("with an authority announced, the next look is in %s", got)
	}
	if got := hours().nextLook(first, begin.Add(5*time.Hour+50*time.Minute)); got != 10*time.Minute {
		t.Errorf("before a renewal, the next look is in %s", got)
	}
}

// made returns what a plan makes at the beginning.
func made(t *testing.T, p plan, now time.Time) *state {
	t.Helper()
	s, _, err := p.advance(&state{}, now, trusted)
	must(t, err)
	return s
}

func TestMisdatedNamesWhatIsNotForNow(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	long := hours()
	long.caLifetime, long.lifetime = 10*long.caLifetime, 10*long.lifetime
	ahead, tooLong, right := made(t, hours(), begin.Add(time.Hour)), made(t, long, begin), made(t, hours(), begin)
	const early, late = " is valid from 2026-01-01T00:55:00Z to 2026-01-02T07:00:00Z", " is valid from 2025-12-31T23:55:00Z to 2026-01-13T12:00:00Z"
	for _, test := range []struct {
		s    *state
		want []string
	}{
		{&state{}, nil},
		{right, nil},
		{&state{current: ahead.current}, []string{"ca.crt" + early}},
		{&state{current: right.current, next: ahead.current}, []string{"next-ca.crt" + early}},
		{&state{current: tooLong.current, next: tooLong.current, serving: tooLong.serving}, []string{
			"ca.crt" + late, "next-ca.crt" + late, "tls.crt is valid from 2025-12-31T23:55:00Z to 2026-01-04T18:00:00Z",
		}},
		{&state{current: right.current, serving: right.serving, old: []*x509.Certificate{tooLong.current.cert}}, nil},
	} {
		if diff := cmp.Diff(test.want, hours().misdated(test.s, begin)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func ended(t *testing.T, now time.Time) *x509.Certificate {
	t.Helper()
	a, err := newAuthority("gone", now.Add(-2*time.Hour), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return a.cert
}

// differences names what two states do not have in common.
func differences(a, b *state) string {
	var names []string
	same := func(x, y *authority) bool {
		return (x == nil) == (y == nil) && (x == nil || x.cert.Equal(y.cert))
	}
	if !same(a.current, b.current) {
		names = append(names, "current")
	}
	if !same(a.next, b.next) {
		names = append(names, "next")
	}
	if !slices.EqualFunc(a.old, b.old, func(x, y *x509.Certificate) bool { return x.Equal(y) }) {
		names = append(names, "old")
	}
	if !sameCertificate(a.serving, b.serving) {
		names = append(names, "serving")
	}
	return strings.Join(names, " ")
}

func TestTheKeyOfAnOldAuthorityIsForgotten(t *testing.T) {
	begin := time.Now()
	first, _ := step(t, &state{}, begin, trusted)
	announced, _ := step(t, first, begin.Add(20*time.Hour), trusted)
	promoted, _ := step(t, announced, begin.Add(21*time.Hour), trusted)
	data, err := promoted.encode()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range data {
		names = append(names, name)
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"ca.crt", "ca.key", "old-ca.crt", "tls.crt", "tls.key"}, names); diff != "" {
		t.Errorf("the Secret has (-want +got):\n%s", diff)
	}
	key, err := encodeKey(first.current.key)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range data {
		if string(content) == string(key) {
			t.Errorf("%s has the old key", name)
		}
	}
}

// Whatever a person writes into the Secret: what can be used is used, the rest is made anew, and nothing fails.
func TestADamagedSecretIsRepaired(t *testing.T) {
	now := time.Now()
	good, _ := step(t, &state{}, now, trusted)
	for _, damaged := range []string{caFile, caKeyFile, CertFile, KeyFile, nextFile, nextKeyFile, oldFile} {
		for _, content := range []string{"", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
			data, err := good.encode()
			if err != nil {
				t.Fatal(err)
			}
			data[damaged] = []byte(content)
			s, _ := decode(data)
			step(t, s, now, trusted)
		}
	}
}
