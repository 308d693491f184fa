// Package foreign tests the manifests against other people's code: cert-manager's controllers, which issue and renew the serving
// certificate, and the types of cert-manager, of the Prometheus operator and of the Operator Lifecycle Manager. It is a module of
// its own, so that what they need does not become what meshfence needs.
package foreign
