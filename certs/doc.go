// Package certs has the serving certificate of the webhook server: it waits for the certificate's files, loads them,
// watches them, and sets up TLS so that a rotated certificate is served without a restart and without a refused handshake.
//
// The files are tls.crt and tls.key in one folder: the keys of a Secret of the type kubernetes.io/tls, as cert-manager and
// OpenShift's service CA fill it.
//
// What is not here: making, signing or renewing certificates, and telling the API server which CA to trust (caBundle).
// cert-manager does both for the manifests in deploy/. Verifying the API server's own client certificate is not here
// either.
package certs
