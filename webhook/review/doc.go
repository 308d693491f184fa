// Package review reads and writes AdmissionReviews over HTTP, within limits of time and memory, and passes the requests in them on
// to an admission.Handler. It knows nothing of meshes: what is judged, and how a refusal reads, is package webhook's.
//
// A request goes through, in this order: duration.go (how long it took), deadline.go (how long its body may take, and when the API
// server stops to wait), body.go and budget.go (reading the body, within the memory of all), read.go (the AdmissionReview in it), the
// admission.Handler, encode.go.
//
// There are two decoders (read.go). The one in scan.go and scanreview.go goes through the body once and without reflection. The strings
// of a request are then pieces of one copy of its body, and the objects pieces of the body itself, which stay in memory as long as one of
// them does: keep none of them for longer than the request, or clone it. What that decoder does not know it leaves to the API
// machinery's, which alone decides what is accepted. So it can be deleted, by one line in newHandler, and nothing changes but time:
// TestBothDecodersAnswerAlike compares the two.
//
// It takes about a third of the time of the other one, and 14 allocations instead of 50 (BenchmarkDecode: medians of 58 and 157 µs side by
// side on a busy machine). Of a judgement in process (BenchmarkAdmissionReview of package webhook, 342 µs at the same time) the
// difference is a quarter. Over HTTPS, where TLS and HTTP cost three to four times as much as a judgement, that is an estimated 6 % of
// meshfence's processor time, which no user feels.
package review
