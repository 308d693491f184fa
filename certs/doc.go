// Package certs has the serving certificate of the webhook server, from one of two places, and sets up TLS so that a rotated
// certificate is served without a restart and without a refused handshake.
//
// Watcher takes it from files: it waits for them, loads them and watches them. The files are tls.crt and tls.key in one folder:
// the keys of a Secret of the type kubernetes.io/tls, as cert-manager and OpenShift's service CA fill it. These two also
// tell the API server which authority to trust (caBundle).
//
// SelfSigned makes it: an authority and a certificate signed by it, in a Secret that all replicas share. It replaces both in
// time, and keeps the caBundle of the webhook configurations right. What is made when is decided by a function of the stored state
// and the time (plan.advance); the rest reads, writes and serves.
//
// Both are for the API server's clock (Clock), as the API server verifies certificates with it: replicas whose nodes have other clocks
// make the same decisions. What is stored and is not valid now, or valid for longer than planned, is replaced by the replica that sees
// it first.
//
// Why not github.com/open-policy-agent/cert-controller (v0.16), the well-kept library for this? It replaces the authority in one
// step, and with it the caBundle: until every replica's kubelet has refreshed the mounted Secret, a minute or more, replicas serve
// what the API server no longer trusts, and with failurePolicy Fail requests are refused. It writes webhook configurations
// as a whole, without looking whether anything differs; its cache lists and watches all of them and all Secrets of the
// namespace, so rights cannot be restricted to names. It ends the process if the certificate's file does not show up in time. Its
// Secret has to exist before it. Here: the new authority is trusted before it signs, and the old one until it ends; replicas read
// the Secret from the API server and follow within milliseconds; writes touch nothing but what differs, on the version
// that was read; and every right but one, to create the Secret if it was deleted, is bound to a name.
//
// ClientAuthority verifies the certificate that an API server shows, where it is configured to show one.
package certs
