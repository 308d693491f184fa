package review

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// readTimeout is how long the body of a request may take. The API server gives a webhook 30 seconds at the most
// (timeoutSeconds), so it does not wait for the answer to a body that is slower.
const readTimeout = 30 * time.Second

// withReadDeadline ends requests whose body takes longer than limit: one that never ends or comes byte by byte. The size of a
// body is limited where it is read (maxBody).
func withReadDeadline(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// An error means that the connection has no deadlines; the server's own are all there is then.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
		next.ServeHTTP(w, r)
	})
}

// longestTimeout is the longest timeoutSeconds that a webhook can have (admissionregistration.k8s.io/v1).
const longestTimeout = 30 * time.Second

// withTimeout gives each request one deadline, which all its parts share: the questions for rights, the live read, the
// look at pods. Each part has a bound of its own too, so that a slow one leaves something to the next, but their sum may be
// more than there is; what comes last gets what is left, and says so if that was not enough. An answer that comes after
// the API server's timeout would be worth nothing: the user would read of a timeout instead of what is wrong.
func withTimeout(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), usable(timeoutOf(r.URL)))
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// usable is the part of a timeout after which the answer begins at the latest. A tenth is left for the way there and back.
func usable(timeout time.Duration) time.Duration { return timeout - timeout/10 }

// timeoutOf returns how long the API server waits for the answer. It says so in the query of the URL, as timeout=5s: the
// webhook's timeoutSeconds, or what is left of the request that it is about, rounded up to whole seconds
// (k8s.io/apiserver, pkg/admission/plugin/webhook/validating/dispatcher.go; controller-runtime does not read it). Without it,
// it is the longest there can be.
func timeoutOf(u *url.URL) time.Duration {
	timeout, err := time.ParseDuration(u.Query().Get("timeout"))
	if err != nil || timeout <= 0 {
		return longestTimeout
	}
	return min(timeout, longestTimeout)
}
