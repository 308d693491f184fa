package observed

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"slices"
)

// certificates are the certificates of a bundle, by the SHA-256 of each; the value is its subject.
type certificates map[string]string

// parseCertificates reads a bundle in PEM. What is no certificate is left out; the text around certificates does not count.
func parseCertificates(bundle []byte) certificates {
	var all certificates
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return all
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if all == nil {
			all = certificates{}
		}
		sum, subject := sha256.Sum256(block.Bytes), ""
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			subject = c.Subject.String()
		}
		all[hex.EncodeToString(sum[:])] = subject
	}
}

// common returns the digests, sorted, that both have.
func (c certificates) common(other certificates) []string {
	var both []string
	for digest := range c {
		if _, there := other[digest]; there {
			both = append(both, digest)
		}
	}
	slices.Sort(both)
	return both
}

// named tells a certificate apart from others for a person: its subject, and the beginning of its digest.
func (c certificates) named(digest string) string {
	const enough = 16
	if subject := c[digest]; subject != "" {
		return subject + ", SHA-256 " + digest[:enough] + "…"
	}
	return "SHA-256 " + digest[:enough] + "…"
}

// rootCertificate is what is kept of a ConfigMap that an istiod has written its root certificate to: there is one in every namespace of a mesh.
type rootCertificate struct {
	version      string
	certificates certificates
	// rewritten says that it was written again while the cluster was read.
	rewritten bool
}

// rootCertificateKey is the key of the certificate (istio/pkg/config/constants: CACertNamespaceConfigMapDataName).
const rootCertificateKey = "root-cert.pem"

// parsed is parseCertificates, once for each bundle: a mesh's is the same in all its namespaces.
func (c *Cluster) parsed(bundle []byte) certificates {
	sum := sha256.Sum256(bundle)
	all, known := c.bundles[sum]
	if !known {
		if c.bundles == nil {
			c.bundles = map[[sha256.Size]byte]certificates{}
		}
		all = parseCertificates(bundle)
		c.bundles[sum] = all
	}
	return all
}

// addCertificate reads a ConfigMap. One that comes a second time, with another resourceVersion, was written in between.
func (c *Cluster) addCertificate(raw []byte) error {
	object, err := decode[configMap](raw)
	if err != nil {
		return err
	}
	if c.certificates == nil {
		c.certificates = map[objectKey]*rootCertificate{}
	}
	key := object.Metadata.key()
	read := &rootCertificate{version: object.Metadata.ResourceVersion, certificates: c.parsed([]byte(object.Data[rootCertificateKey]))}
	if before := c.certificates[key]; before != nil {
		read.rewritten = before.rewritten || before.version != read.version
	}
	c.certificates[key] = read
	return nil
}
