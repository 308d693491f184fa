package review

import (
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// scanReview reads an AdmissionReview as API servers send it. ok is false if it is not quite like that; then only decodeStock
// can tell what it is. Strings and objects share memory with the body.
func scanReview(body []byte) (review *admissionv1.AdmissionReview, ok bool) {
	review = &admissionv1.AdmissionReview{}
	s := newScan(body)
	defer s.free()
	ok = s.all(func() {
		s.object(func(name string) {
			switch name {
			case "kind":
				review.Kind = s.string()
			case "apiVersion":
				review.APIVersion = s.string()
			case "request":
				review.Request = s.request()
			case "response": // is in answers only
				s.failed = true
			default:
				s.skip()
			}
		})
	})
	return review, ok
}

func (s *scan) request() *admissionv1.AdmissionRequest {
	r := &admissionv1.AdmissionRequest{}
	s.object(func(name string) {
		switch name {
		case "uid":
			r.UID = types.UID(s.string())
		case "kind":
			r.Kind = s.kind()
		case "resource":
			r.Resource = s.resource()
		case "subResource":
			r.SubResource = s.string()
		case "requestKind":
			kind := s.kind()
			r.RequestKind = &kind
		case "requestResource":
			resource := s.resource()
			r.RequestResource = &resource
		case "requestSubResource":
			r.RequestSubResource = s.string()
		case "name":
			r.Name = s.string()
		case "namespace":
			r.Namespace = s.string()
		case "operation":
			r.Operation = operation(s.string())
		case "userInfo":
			r.UserInfo = s.userInfo()
		case "object":
			r.Object.Raw = s.raw()
		case "oldObject":
			r.OldObject.Raw = s.raw()
		case "dryRun":
			dryRun := s.boolean()
			r.DryRun = &dryRun
		case "options":
			r.Options.Raw = s.raw()
		default:
			s.skip()
		}
	})
	return r
}

// operation is a constant where it is a usual one: metrics keep it for ever, and would keep the whole body with it.
func operation(text string) admissionv1.Operation {
	for _, known := range [...]admissionv1.Operation{admissionv1.Create, admissionv1.Update, admissionv1.Delete} {
		if text == string(known) {
			return known
		}
	}
	return admissionv1.Operation(text)
}

func (s *scan) kind() (kind metav1.GroupVersionKind) {
	s.object(func(name string) {
		switch name {
		case "group":
			kind.Group = s.string()
		case "version":
			kind.Version = s.string()
		case "kind":
			kind.Kind = s.string()
		default:
			s.skip()
		}
	})
	return kind
}

func (s *scan) resource() (resource metav1.GroupVersionResource) {
	s.object(func(name string) {
		switch name {
		case "group":
			resource.Group = s.string()
		case "version":
			resource.Version = s.string()
		case "resource":
			resource.Resource = s.string()
		default:
			s.skip()
		}
	})
	return resource
}

func (s *scan) userInfo() (user authenticationv1.UserInfo) {
	s.object(func(name string) {
		switch name {
		case "username":
			user.Username = s.string()
		case "uid":
			user.UID = s.string()
		case "groups":
			user.Groups = s.strings()
		case "extra":
			user.Extra = map[string]authenticationv1.ExtraValue{}
			s.entries(func(name string) { user.Extra[name] = s.strings() })
		default:
			s.skip()
		}
	})
	return user
}
