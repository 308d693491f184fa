// Package scan reads of a cluster what the rules need that only a look at it can judge, for the commands and for the audit in the server. Listing
// is the business of package listing, judging that of package observed.
package scan
