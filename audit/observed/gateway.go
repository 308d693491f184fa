package observed

// gateway is a Gateway of the Gateway API.
type gateway struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		Class string `json:"gatewayClassName"`
	} `json:"spec"`
}

// addClass reads a GatewayClass.
func (c *Cluster) addClass(raw []byte) error {
	object, err := decode[struct {
		Metadata meta `json:"metadata"`
		Spec     struct {
			Controller string `json:"controllerName"`
		} `json:"spec"`
	}](raw)
	if err != nil {
		return err
	}
	if c.classes == nil {
		c.classes = map[string]string{}
	}
	c.classes[object.Metadata.Name] = object.Spec.Controller
	return nil
}

// ofIstio reports whether an istiod is the controller of a class (istio/pkg/config/constants: ManagedGatewayController and its like; one of unmanaged-gateway is deployed by hand). Other products have
// controllers of their own, OpenShift's ingress among them.
func (c *Cluster) ofIstio(class string) bool {
	switch c.classes[class] {
	case "istio.io/gateway-controller", "istio.io/mesh-controller", "istio.io/eastwest-controller":
		return true
	default:
		return false
	}
}
