module github.com/meshfence/meshfence/test/foreign/older

go 1.26.0

require istio.io/istio v0.0.0-20260423205519-b01690e6db7d
