// Package monitoring tests what the chart has for Prometheus and Grafana: with Prometheus' own engine when each alert fires and when it does not, with Grafana's own types
// whether the dashboard is one, and on a running server whether the metrics are there. It is a module of its own because of what those need.
package monitoring
