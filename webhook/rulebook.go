package webhook

import (
	"context"
	"sync/atomic"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/config"
)

// edition is what one configuration makes of the webhooks: the handler of each path. It is not written once it is made.
type edition map[string]admission.Handler

// Rulebook is what the webhooks judge by. It can be replaced while they serve, and every request is judged by one
// configuration from its beginning to its end, also if a replacement comes in between: a request takes the edition of its
// first moment, and the handlers in it know no other. Its methods are safe for concurrent use.
type Rulebook struct {
	write   func(*config.Configuration) edition
	edition atomic.Pointer[edition]
}

// newRulebook returns a rulebook whose editions write makes.
func newRulebook(c *config.Configuration, write func(*config.Configuration) edition) *Rulebook {
	b := &Rulebook{write: write}
	b.Replace(c)
	return b
}

// Replace makes every request that begins from now on be judged by this configuration, which must not be written any more.
func (b *Rulebook) Replace(c *config.Configuration) {
	next := b.write(c)
	b.edition.Store(&next)
}

// current returns the edition of this moment. A request asks for it once.
func (b *Rulebook) current() edition { return *b.edition.Load() }

// page hands each request of a path to that path's handler in the current edition.
type page struct {
	book *Rulebook
	path string
}

// Handle answers a request by the configuration of this moment.
func (p page) Handle(ctx context.Context, req admission.Request) admission.Response {
	return p.book.current()[p.path].Handle(ctx, req)
}
