package istiod

import "github.com/meshfence/meshfence/webhook/api"

// Service is one that stands for a tag, beside the tag's webhook configuration or without one
// (templates/revision-tags-svc.yaml, from Istio 1.28).
type Service struct{ Meta }

// DecodeService reads a Service; nil if it stands for no tag.
func DecodeService(raw []byte) (*Service, error) {
	object, err := decode[struct {
		Metadata rawMeta `json:"metadata"`
	}](raw)
	if err != nil {
		return nil, err
	}
	if object.Metadata.Labels[api.RevisionLabel] == "" || object.Metadata.Labels[api.TagLabel] == "" {
		return nil, nil //nolint:nilnil // it stands for none
	}
	return &Service{object.Metadata.read()}, nil
}
