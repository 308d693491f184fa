{{/* The name of everything that is installed. Releases may have names that Services may not. */}}
{{- define "meshfence.name" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "%q cannot be the name of a Service; choose one with --set fullnameOverride=NAME" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* The Secret of the serving certificate. Each way has its own, so that a change of certs.mode never serves another's. */}}
{{- define "meshfence.certificateSecret" -}}
{{- $suffix := dict "cert-manager" "serving" "openshift" "service-ca" "self-signed" "certs" -}}
{{ include "meshfence.name" . }}-{{ get $suffix .Values.certs.mode }}
{{- end -}}

{{- define "meshfence.selectorLabels" -}}
app.kubernetes.io/name: meshfence
app.kubernetes.io/instance: {{ include "meshfence.name" . }}
{{- end -}}

{{- define "meshfence.labels" -}}
{{ include "meshfence.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
{{- if not .Values.namespace.create }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- end -}}

{{- define "meshfence.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end -}}

{{/* How a webhook configuration gets the authority of the serving certificate, as annotations. */}}
{{- define "meshfence.injectCA" -}}
{{- if eq .Values.certs.mode "cert-manager" -}}
cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ include "meshfence.name" . }}-serving
{{- else if eq .Values.certs.mode "openshift" -}}
service.beta.openshift.io/inject-cabundle: "true"
{{- end -}}
{{- end -}}

{{/* The label keys that decide to which mesh a namespace belongs, as a JSON list. */}}
{{- define "meshfence.discoveryLabels" -}}
{{- $config := .Values.config | default dict -}}
{{- if hasKey $config "discoveryLabels" -}}
{{ $config.discoveryLabels | default list | toJson }}
{{- else -}}
["istio-discovery","mesh"]
{{- end -}}
{{- end -}}

{{/*
The match condition mesh-labels of a webhook configuration. For the default configuration it is what meshfence itself would write; with
other discovery labels it is wide, so that nothing gets past until meshfence has narrowed it. An upgrade keeps what is stored: it
neither takes keys away for a moment, nor conflicts with meshfence, which is the field's manager. Called with root, kind.
*/}}
{{- define "meshfence.condition" -}}
{{- $asked := include "meshfence.askedLabels" . | fromJsonArray -}}
{{- $found := include (print "meshfence.expression." .kind) . -}}
{{- range include "meshfence.discoveryLabels" .root | fromJsonArray -}}
{{- if not (has . $asked) -}}
{{- $found = include (print "meshfence.anyLabel." $.kind) $ -}}
{{- end -}}
{{- end -}}
{{- $stored := lookup "admissionregistration.k8s.io/v1" .kind "" (include "meshfence.name" .root) -}}
{{- range $webhook := ($stored.webhooks | default list) -}}
{{- range $condition := ($webhook.matchConditions | default list) -}}
{{- if eq $condition.name "mesh-labels" -}}
{{- $found = $condition.expression -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ $found }}
{{- end -}}

{{/* The namespaces about which the API server asks. */}}
{{- define "meshfence.namespaceSelector" -}}
{{- $own := dict "key" "kubernetes.io/metadata.name" "operator" "NotIn" "values" (list "kube-system" .Release.Namespace) -}}
{{- $selector := .Values.rollout.namespaceSelector | default dict -}}
{{- with $selector.matchLabels -}}
matchLabels:
  {{- toYaml . | nindent 2 }}
{{ end -}}
matchExpressions:
{{- range prepend ($selector.matchExpressions | default list) $own }}
- key: {{ .key }}
  operator: {{ .operator }}
  {{- with .values }}
  values: {{ toJson . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Labels of a namespace that the rollout's selector matches, as far as it asks for any, as JSON. */}}
{{- define "meshfence.tryLabels" -}}
{{- $labels := dict -}}
{{- $selector := .Values.rollout.namespaceSelector | default dict -}}
{{- range $selector.matchExpressions -}}
{{- if eq .operator "In" -}}
{{- $_ := set $labels .key (first .values) -}}
{{- else if eq .operator "Exists" -}}
{{- $_ := set $labels .key "" -}}
{{- end -}}
{{- end -}}
{{- mergeOverwrite $labels ($selector.matchLabels | default dict) | toJson -}}
{{- end -}}

{{/* A memory limit in bytes. */}}
{{- define "meshfence.bytes" -}}
{{- if not (kindIs "string" .) -}}
{{- int64 . -}}
{{- else -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "k" 1000 "M" 1000000 "G" 1000000000 -}}
{{- $number := regexFind "^[0-9]+" (toString .) | int64 -}}
{{- $unit := regexReplaceAll "^[0-9]+" (toString .) "" -}}
{{- if $unit -}}
{{- mul $number (get $units $unit | int64) -}}
{{- else -}}
{{- $number -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A cpu limit in whole cores, at least one. */}}
{{- define "meshfence.cores" -}}
{{- if hasSuffix "m" (toString .) -}}
{{- max 1 (ceil (divf (trimSuffix "m" (toString .)) 1000.0)) -}}
{{- else -}}
{{- max 1 (ceil .) -}}
{{- end -}}
{{- end -}}

{{/* A duration such as 2160h or 1h30m in seconds. */}}
{{- define "meshfence.seconds" -}}
{{- $total := 0 -}}
{{- range $unit, $seconds := dict "h" 3600 "m" 60 "s" 1 -}}
{{- $total = add $total (mul $seconds (regexFind (printf "[0-9]+%s" $unit) $ | trimSuffix $unit | int64)) -}}
{{- end -}}
{{- $total -}}
{{- end -}}

{{/*
Lifetimes with which a certificate would be renewed at once and for ever, or end after its authority; and those that cert-manager (its
MinimumCertificateDuration and MinimumRenewBefore) or meshfence itself (certs.Options) refuses as too short.
*/}}
{{- define "meshfence.checkLifetimes" -}}
{{- if eq .Values.certs.mode "cert-manager" -}}
{{- with .Values.certs.certManager -}}
{{- if lt (include "meshfence.seconds" .duration | int64) 3600 -}}
{{- fail (printf "certs.certManager.duration is %s: cert-manager wants at least 1h" .duration) -}}
{{- end -}}
{{- if lt (include "meshfence.seconds" .renewBefore | int64) 300 -}}
{{- fail (printf "certs.certManager.renewBefore is %s: cert-manager wants at least 5m" .renewBefore) -}}
{{- end -}}
{{- if ge (include "meshfence.seconds" .renewBefore | int64) (include "meshfence.seconds" .duration | int64) -}}
{{- fail (printf "certs.certManager.renewBefore is %s, and certs.certManager.duration %s: a certificate must be renewed before it ends, but not at once" .renewBefore .duration) -}}
{{- end -}}
{{- if and (not .issuerRef) (gt (include "meshfence.seconds" .duration | int64) (include "meshfence.seconds" .caDuration | int64)) -}}
{{- fail (printf "certs.certManager.duration is %s, and certs.certManager.caDuration %s: a certificate must not end after its authority" .duration .caDuration) -}}
{{- end -}}
{{- end -}}
{{- else if eq .Values.certs.mode "self-signed" -}}
{{- with .Values.certs.selfSigned -}}
{{- if lt (include "meshfence.seconds" .duration | int64) 60 -}}
{{- fail (printf "certs.selfSigned.duration is %s: meshfence wants at least 1m" .duration) -}}
{{- end -}}
{{- if gt (mul 3 (include "meshfence.seconds" .duration | int64)) (include "meshfence.seconds" .caDuration | int64) -}}
{{- fail (printf "certs.selfSigned.duration is %s, and certs.selfSigned.caDuration %s: the authority must last at least three times as long as the certificate" .duration .caDuration) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Ports of the pods that cannot be. */}}
{{- define "meshfence.checkPorts" -}}
{{- $ports := list .Values.port .Values.healthPort .Values.metricsPort -}}
{{- if ne (len (uniq (toStrings $ports))) 3 -}}
{{- fail (printf "port, healthPort and metricsPort are %v, %v and %v: no two of them can be the same" .Values.port .Values.healthPort .Values.metricsPort) -}}
{{- end -}}
{{- if and .Values.hostNetwork (has "10250" (toStrings $ports)) -}}
{{- fail "hostNetwork and port 10250: that is the kubelet's on every node; choose another one, as in --set port=9443" -}}
{{- end -}}
{{- end -}}

{{/* Labels or annotations of a value, where some of the same names are taken. Called with value, more, taken (a list). */}}
{{- define "meshfence.more" -}}
{{- range $key := .taken -}}
{{- if hasKey ($.more | default dict) $key -}}
{{- fail (printf "%s cannot set %s, which the chart sets" $.value $key) -}}
{{- end -}}
{{- end -}}
{{- with .more -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{- /* The alerts about what the audit finds, by the rules that they are about. */}}
{{- define "meshfence.auditAlerts" -}}
- {alert: MeshfenceMeshesOverlap, rules: MF102|MF103|MF201, severity: critical, summary: "Several meshes discover the same namespaces, and overwrite each other's root certificate there."}
- {alert: MeshfenceSelectorsInvalidLive, rules: MF101|MF910, severity: critical, summary: "A mesh's discoverySelectors cannot be read: its istiod runs on the old ones, and on none once it restarts."}
- {alert: MeshfenceNamespacesMismatched, rules: MF202|MF203|MF205, severity: warning, summary: "Namespaces choose a revision that is not of the mesh that discovers them."}
- {alert: MeshfencePodsOfAnotherMesh, rules: MF904, severity: warning, summary: "Pods have the sidecar of a mesh that does not discover their namespace."}
- {alert: MeshfenceRootCertificateMissing, rules: MF903|MF907, severity: critical, summary: "Namespaces do not have the root certificate of their mesh: pods do not start, or do not trust one another."}
- {alert: MeshfenceMTLSNotStrict, rules: MF901, severity: warning, summary: "A mesh beside others accepts plain text: workloads of other meshes can call its own."}
{{- end }}
{{- /* The interval of the audit in seconds. */}}
{{- define "meshfence.auditSeconds" -}}
{{- $interval := .Values.audit.interval -}}
{{- $number := regexFind "^[0-9]+" $interval | int -}}
{{- if hasSuffix "h" $interval }}{{ mul $number 3600 }}{{ else if hasSuffix "m" $interval }}{{ mul $number 60 }}{{ else }}{{ $number }}{{ end -}}
{{- end }}
