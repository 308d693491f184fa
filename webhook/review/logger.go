package review

import (
	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// requestLogger names the object and who asks.
func requestLogger(base logr.Logger, req *admission.Request) logr.Logger {
	if req == nil || base.GetSink() == nil {
		return base
	}
	return logr.New(requestSink{LogSink: base.GetSink(), req: req})
}

// requestSink adds what it knows of a request to a line when there is one to log, which for most requests is never:
// logr's own values are made into text at once.
type requestSink struct {
	logr.LogSink
	req *admission.Request
}

func (s requestSink) with() logr.LogSink {
	return s.LogSink.WithValues("name", s.req.Name, "user", s.req.UserInfo.Username, "requestID", s.req.UID)
}

// Init does nothing: the sink below has been told already.
func (s requestSink) Init(logr.RuntimeInfo) {}

// Info logs a line about the request.
func (s requestSink) Info(level int, message string, keysAndValues ...any) {
	s.with().Info(level, message, keysAndValues...)
}

// Error logs a line about the request.
func (s requestSink) Error(err error, message string, keysAndValues ...any) {
	s.with().Error(err, message, keysAndValues...)
}

// WithValues returns a sink with more values than the request's. Often there are none: log.FromContext always calls it.
func (s requestSink) WithValues(keysAndValues ...any) logr.LogSink {
	if len(keysAndValues) == 0 {
		return s
	}
	return s.with().WithValues(keysAndValues...)
}

// WithName returns a sink of another name.
func (s requestSink) WithName(name string) logr.LogSink { return s.with().WithName(name) }
