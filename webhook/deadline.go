package webhook

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// longestTimeout is the longest timeoutSeconds that a webhook can have (admissionregistration.k8s.io/v1).
const longestTimeout = 30 * time.Second

// withDeadline gives each request one deadline, which all its parts share: the questions for rights, the live read, the
// look at pods. Each part has a bound of its own too, so that a slow one leaves something to the next, but their sum may be
// more than there is; what comes last gets what is left, and says so if that was not enough. An answer that comes after
// the API server's timeout would be worth nothing: the user would read of a timeout instead of what is wrong.
func withDeadline(next http.Handler) http.Handler {
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
