package review

import (
	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// requestLogger returns a logger whose lines name the object and the user. controller-runtime also calls it without a request.
func requestLogger(base logr.Logger, req *admission.Request) logr.Logger {
	if req == nil {
		return base
	}
	return base.WithValues("name", req.Name, "user", req.UserInfo.Username, "requestID", req.UID)
}
