package webhook

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/policy"
)

// finish takes a verdict from where the rules leave it to the reply: it applies what the object's annotations override, records the
// verdict and replies. All validating handlers end with it. annotations are those of the new object, or of the old one when it
// is deleted.
func (c *common) finish(ctx context.Context, req *admission.Request, annotations map[string]string, verdict policy.Verdict) admission.Response {
	return c.reply(ctx, req, c.override(ctx, req, annotations, verdict))
}

// override is the first half of finish, for handlers that have something to do between the verdict and the reply.
//
// Rights are asked for with every request, and not remembered: a right that was taken away must be gone, and only a request
// that would be refused and names the rule asks at all.
func (c *common) override(ctx context.Context, req *admission.Request, annotations map[string]string, verdict policy.Verdict) policy.Verdict {
	annotation := annotations[policy.OverrideAnnotation]
	if annotation == "" {
		return verdict
	}
	override := policy.ReadOverride(annotation)
	asks := override.Asks(verdict)
	rights := c.askOverrides(ctx, req, asks)
	for _, code := range asks {
		c.recorder.override(ctx, req, code, rights[code])
	}
	return override.Apply(verdict, req.UserInfo.Username, rights)
}

// reply is the second half of finish.
func (c *common) reply(ctx context.Context, req *admission.Request, verdict policy.Verdict) admission.Response {
	c.recorder.verdict(ctx, req, verdict)
	return answer(req, verdict)
}
