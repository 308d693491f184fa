package webhook

import (
	"net/http"
	"time"
)

// readTimeout is how long the body of a request may take. The API server gives a webhook 30 seconds at the most
// (timeoutSeconds), so nobody waits for the answer to a body that is slower.
const readTimeout = 30 * time.Second

// timely ends requests whose body takes longer than limit: one that never ends or comes byte by byte. The size of a body
// is limited where it is read (maxBody).
func timely(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// An error means that the connection has no deadlines; the server's own are all there is then.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
		next.ServeHTTP(w, r)
	})
}
