package certs

import (
	"bytes"
	"crypto/tls"
	"errors"
)

// The keys of the Secret beside CertFile and KeyFile: the authority that signs, the one that will, and those that did.
const (
	caFile      = "ca.crt"
	caKeyFile   = "ca.key"
	nextFile    = "next-ca.crt"
	nextKeyFile = "next-ca.key"
	oldFile     = "old-ca.crt"
)

// decode reads the data of a Secret. What is missing or cannot be used is left out; the error says what that was, and the state
// can be used all the same.
func decode(data map[string][]byte) (*state, error) {
	s := &state{}
	var errs []error
	try := func(what string, cert, key []byte, use func(cert, key []byte) error) {
		if len(cert) == 0 && len(key) == 0 {
			return
		}
		if err := use(cert, key); err != nil {
			errs = append(errs, errors.New(what+": "+err.Error()))
		}
	}
	try(caFile, data[caFile], data[caKeyFile], func(cert, key []byte) (err error) {
		s.current, err = decodeAuthority(cert, key)
		return err
	})
	try(nextFile, data[nextFile], data[nextKeyFile], func(cert, key []byte) (err error) {
		s.next, err = decodeAuthority(cert, key)
		return err
	})
	try(oldFile, data[oldFile], nil, func(cert, _ []byte) (err error) {
		s.old, err = decodeCertificates(cert)
		return err
	})
	try(CertFile, data[CertFile], data[KeyFile], func(cert, key []byte) error {
		pair, err := tls.X509KeyPair(cert, key)
		if err == nil {
			s.serving = &pair
		}
		return err
	})
	return s, errors.Join(errs...)
}

// encode returns the data of a Secret.
func (s *state) encode() (map[string][]byte, error) {
	data := map[string][]byte{caFile: encodeCertificates(s.current.cert), CertFile: encodeCertificates(s.serving.Leaf)}
	keys := map[string]any{caKeyFile: s.current.key, KeyFile: s.serving.PrivateKey}
	if s.next != nil {
		data[nextFile], keys[nextKeyFile] = encodeCertificates(s.next.cert), s.next.key
	}
	if len(s.old) > 0 {
		data[oldFile] = encodeCertificates(s.old...)
	}
	for name, key := range keys {
		text, err := encodeKey(key)
		if err != nil {
			return nil, err
		}
		data[name] = text
	}
	return data, nil
}

// sameCertificate reports whether two pairs are one.
func sameCertificate(a, b *tls.Certificate) bool {
	return a != nil && b != nil && bytes.Equal(a.Leaf.Raw, b.Leaf.Raw)
}
