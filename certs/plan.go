package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// state is what the Secret holds: everything that the replicas agree on.
type state struct {
	// current has signed the serving certificate, or will. It is nil before the first one, and if what is stored cannot be used.
	current *authority
	// next is trusted, but signs nothing yet; nil unless the authority is being replaced.
	next *authority
	// old are authorities that have signed nothing that is served today, and are still trusted until they end.
	old []*x509.Certificate
	// serving is nil if there is none that can be used.
	serving *tls.Certificate
}

// trusted returns the authorities that the API server has to trust, as PEM: the caBundle.
func (s *state) trusted() []byte {
	var all []*x509.Certificate
	for _, a := range []*authority{s.current, s.next} {
		if a != nil {
			all = append(all, a.cert)
		}
	}
	return encodeCertificates(append(all, s.old...)...)
}

// plan says what is to be made, and when.
type plan struct {
	// name is the beginning of the authorities' names, dnsNames what the serving certificate is for.
	name     string
	dnsNames []string
	// caLifetime and lifetime are those of new authorities and serving certificates. Each is replaced in its last third.
	caLifetime, lifetime time.Duration
	// settle is how long a new authority is stored in the caBundles before it signs. It must be longer than the API
	// servers take to notice a change, and than a replica's request may be on its way.
	settle time.Duration
}

// advance returns the state that should be stored instead of s, which is not changed, and whether it differs. isTrusted says
// of an authority whether it is in the caBundle of every webhook configuration that exists, as stored right now.
//
// The authority is replaced in three steps, so that at every moment each replica serves what each API server trusts: the
// new one is trusted along with the old one; after that has settled, it signs; the old one stays trusted until it ends, without
// its key, which is forgotten.
func (p plan) advance(s *state, now time.Time, isTrusted func(*x509.Certificate) bool) (*state, bool, error) {
	after := *s
	changed := false
	for _, step := range []func(*state, time.Time, func(*x509.Certificate) bool) (bool, error){
		p.drop, p.first, p.announce, p.promote, p.distrust, p.renew,
	} {
		did, err := step(&after, now, isTrusted)
		if err != nil {
			return nil, false, err
		}
		changed = changed || did
	}
	return &after, changed, nil
}

// drop forgets the authorities that no API server accepts today, because they have ended or are not valid yet, and a next one that is
// longer than planned: it has signed nothing, so another can take its place.
func (p plan) drop(s *state, now time.Time, _ func(*x509.Certificate) bool) (bool, error) {
	kept := slices.DeleteFunc(slices.Clone(s.old), func(c *x509.Certificate) bool { return !isValid(c, now) })
	changed := len(kept) != len(s.old)
	s.old = kept
	if s.next != nil && (!isValid(s.next.cert, now) || isLonger(s.next.cert, now, p.caLifetime)) {
		s.next, changed = nil, true
	}
	if s.current != nil && !isValid(s.current.cert, now) {
		s.current, changed = nil, true
	}
	return changed, nil
}

// first makes an authority if there is none that is valid: at the very beginning, when the last one ended while no replica ran, or
// if it begins in the future. There is nothing to overlap with then.
func (p plan) first(s *state, now time.Time, _ func(*x509.Certificate) bool) (bool, error) {
	if s.current != nil {
		return false, nil
	}
	if s.next != nil {
		s.current, s.next = s.next, nil
		return true, nil
	}
	var err error
	s.current, err = newAuthority(p.name, now, p.caLifetime)
	return true, err
}

// announce makes the next authority, in the current one's last third or if that is longer than planned.
func (p plan) announce(s *state, now time.Time, _ func(*x509.Certificate) bool) (bool, error) {
	if s.next != nil || now.Before(renewal(s.current.cert)) && !isLonger(s.current.cert, now, p.caLifetime) {
		return false, nil
	}
	var err error
	s.next, err = newAuthority(p.name, now, p.caLifetime)
	return true, err
}

// promote makes the next authority the one that signs.
func (p plan) promote(s *state, now time.Time, isTrusted func(*x509.Certificate) bool) (bool, error) {
	if s.next == nil || now.Before(p.settled(s.next)) || !isTrusted(s.next.cert) {
		return false, nil
	}
	s.old = append([]*x509.Certificate{s.current.cert}, s.old...)
	s.current, s.next = s.next, nil
	return true, nil
}

// settled is when an authority may sign.
func (p plan) settled(a *authority) time.Time { return a.cert.NotBefore.Add(backdate + p.settle) }

// distrust forgets the old authorities that are longer than planned: trust in them must not last for as long as they say. It waits
// until a certificate of their successor is renewed: by then the other replicas have followed.
func (p plan) distrust(s *state, now time.Time, _ func(*x509.Certificate) bool) (bool, error) {
	if s.serving == nil || s.serving.Leaf.CheckSignatureFrom(s.current.cert) != nil || now.Before(renewal(s.serving.Leaf)) {
		return false, nil
	}
	kept := slices.DeleteFunc(slices.Clone(s.old), func(c *x509.Certificate) bool { return isLonger(c, now, p.caLifetime) })
	changed := len(kept) != len(s.old)
	s.old = kept
	return changed, nil
}

// renew makes a serving certificate if there is none that fits.
func (p plan) renew(s *state, now time.Time, _ func(*x509.Certificate) bool) (bool, error) {
	if s.serving != nil && p.fits(s.serving.Leaf, s.current.cert, now) {
		return false, nil
	}
	var err error
	s.serving, err = s.current.sign(p.dnsNames, now, p.lifetime)
	return true, err
}

// fits reports whether a serving certificate can be served on.
func (p plan) fits(leaf, authority *x509.Certificate, now time.Time) bool {
	return leaf.CheckSignatureFrom(authority) == nil && slices.Equal(leaf.DNSNames, p.dnsNames) &&
		!now.Before(leaf.NotBefore) && now.Before(renewal(leaf)) && !isLonger(leaf, now, p.lifetime)
}

// misdated names the certificates of s that a clock other than now's must have made, or a plan other than p: those that are not valid
// yet, or longer than planned. Old authorities do not count, as replacing one is nothing that two replicas could disagree about.
func (p plan) misdated(s *state, now time.Time) []string {
	var names []string
	check := func(name string, c *x509.Certificate, lifetime time.Duration) {
		if now.Before(c.NotBefore) || isLonger(c, now, lifetime) {
			names = append(names, fmt.Sprintf("%s is valid from %s to %s", name, c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339)))
		}
	}
	if s.current != nil {
		check(caFile, s.current.cert, p.caLifetime)
	}
	if s.next != nil {
		check(nextFile, s.next.cert, p.caLifetime)
	}
	if s.serving != nil {
		check(CertFile, s.serving.Leaf, p.lifetime)
	}
	return names
}

// isValid reports whether an API server with this clock accepts a certificate.
func isValid(c *x509.Certificate, now time.Time) bool {
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

// isLonger reports whether a certificate ends later than one that is made now. The clocks of two API servers may differ by backdate.
func isLonger(c *x509.Certificate, now time.Time, lifetime time.Duration) bool {
	return c.NotAfter.After(now.Add(lifetime + backdate))
}

// nextLook returns when advance may have something to do again, at the latest after an hour: the clock may be changed.
func (p plan) nextLook(s *state, now time.Time) time.Duration {
	look := now.Add(time.Hour)
	for _, moment := range []time.Time{renewal(s.current.cert), renewal(s.serving.Leaf)} {
		if moment.Before(look) && moment.After(now) {
			look = moment
		}
	}
	if s.next != nil {
		look = p.settled(s.next)
	}
	return max(look.Sub(now), time.Second)
}

// renewal returns when two thirds of a certificate's time are over, at the latest its end: one that was not made here may be shorter
// than backdate.
func renewal(c *x509.Certificate) time.Time {
	made := c.NotBefore.Add(backdate)
	if made.After(c.NotAfter) {
		return c.NotAfter
	}
	return made.Add(c.NotAfter.Sub(made) * 2 / 3)
}
