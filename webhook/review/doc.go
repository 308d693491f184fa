// Package review reads and writes AdmissionReviews over HTTP, within limits of time and memory, and passes the requests in them on
// to an admission.Handler. It knows nothing of meshes: what is judged, and how a refusal reads, is package webhook's.
//
// A request goes through, in this order: duration.go (how long it took), deadline.go (how long its body may take, and when the API
// server stops to wait), body.go and budget.go (reading the body, within the memory of all), read.go (the AdmissionReview in it), the
// admission.Handler, encode.go.
//
// There are two decoders (read.go). The one in scan.go and scanreview.go goes through the body once, without reflection and without
// copies: the strings and objects of a request are parts of its body, which stays in memory as long as one of them does. Keep
// none of them for longer than the request, or copy it. What that decoder does not know it leaves to the API machinery's, which
// alone decides what is accepted. So the first can be deleted, by one line in newHandler, and nothing changes but time:
// TestBothDecodersAnswerAlike compares them.
package review
