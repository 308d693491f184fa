package webhook

import (
	"context"
	"sync/atomic"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/config"
)

// handlersByPath are the handlers of one configuration. The map is not written once it is made.
type handlersByPath map[string]admission.Handler

// Rulebook is what the webhooks judge by. It can be replaced while they serve, and every request is judged by one
// configuration from its beginning to its end, also if a replacement comes in between: a request takes the handler of its
// first moment, which knows no other configuration. Its methods are safe for concurrent use.
type Rulebook struct {
	build    func(*config.Configuration) handlersByPath
	handlers atomic.Pointer[handlersByPath]
}

// newRulebook returns a rulebook whose handlers build returns.
func newRulebook(c *config.Configuration, build func(*config.Configuration) handlersByPath) *Rulebook {
	b := &Rulebook{build: build}
	b.Replace(c)
	return b
}

// Replace makes every request that begins from now on be judged by this configuration, which must not be written any more.
func (b *Rulebook) Replace(c *config.Configuration) {
	next := b.build(c)
	b.handlers.Store(&next)
}

// current returns the handlers of this moment. A request calls it once.
func (b *Rulebook) current() handlersByPath { return *b.handlers.Load() }

// handler returns a handler that hands each request to the one that the path has when the request comes.
func (b *Rulebook) handler(path string) admission.Handler {
	return admission.HandlerFunc(func(ctx context.Context, req admission.Request) admission.Response {
		return b.current()[path].Handle(ctx, req)
	})
}
