{{/* A setting of a component: its own, or that of `common`. Lists and maps of both are joined. As JSON. */}}
{{- define "natter.setting" -}}
{{- $common := get .root.Values.common .key -}}
{{- $own := get (get .root.Values .component | default dict) .key -}}
{{- if kindIs "slice" $common -}}
{{- concat $common ($own | default list) | toJson -}}
{{- else if kindIs "map" $common -}}
{{- mergeOverwrite (deepCopy $common) ($own | default dict) | toJson -}}
{{- else -}}
{{- $own | default $common | toJson -}}
{{- end -}}
{{- end -}}

{{- define "natter.affinity" -}}
{{- $own := get (get .root.Values .component | default dict) "affinity" -}}
{{- $affinity := $own | default .root.Values.common.affinity -}}
{{- $mode := .root.Values.common.antiAffinity -}}
{{- if $affinity }}
{{- toYaml $affinity }}
{{- else if ne $mode "none" }}
podAntiAffinity:
  {{- if eq $mode "hard" }}
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels:
          {{- include "natter.selectorLabels" . | nindent 10 }}
  {{- else }}
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "natter.selectorLabels" . | nindent 12 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "natter.spread" -}}
{{- range .root.Values.common.topologyKeys }}
- topologyKey: {{ . }}
  maxSkew: 1
  whenUnsatisfiable: {{ $.root.Values.common.whenUnsatisfiable }}
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels:
      {{- include "natter.selectorLabels" $ | nindent 6 }}
{{- end }}
{{- end -}}

{{/* Where a pod runs, and as whom: what the pods of all components have in common. */}}
{{- define "natter.pod.place" -}}
serviceAccountName: {{ .account | default (include "natter.component" .) }}
# Nothing in a pod speaks to Kubernetes.
automountServiceAccountToken: false
# Variables of Services would begin with NATTER_, as those of the configuration do.
enableServiceLinks: false
securityContext:
  {{- toYaml .root.Values.common.podSecurityContext | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $priority := get (get .root.Values .component | default dict) "priorityClassName" | default .root.Values.common.priorityClassName }}
{{- with $priority }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.common.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with include "natter.setting" (merge (dict "key" "nodeSelector") .) | fromJson }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "natter.setting" (merge (dict "key" "tolerations") .) | fromJsonArray }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "natter.affinity" . | trim }}
affinity:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Without the chart's version: a new chart around the same pods replaces none of them. */}}
{{- define "natter.pod.labels" -}}
{{- include "natter.selectorLabels" . }}
app.kubernetes.io/part-of: natter
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | trunc 63 | quote }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with include "natter.setting" (merge (dict "key" "podLabels") .) | fromJson }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "natter.pod.annotations" -}}
checksum/config: {{ include "natter.config.checksum" .root }}
{{- with include "natter.setting" (merge (dict "key" "podAnnotations") .) | fromJson }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Environment of the process; `.env` is a list to add. */}}
{{- define "natter.pod.env" -}}
{{- $values := .root.Values -}}
- {name: NATTER_CONFIG, value: /etc/natter/config/natter.toml}
{{- if and (has .component (list "connection" "canary" "test")) $values.auth.hs256.existingSecret }}
- name: NATTER_AUTH__HS256_SECRET
  valueFrom:
    secretKeyRef: {name: {{ $values.auth.hs256.existingSecret }}, key: {{ $values.auth.hs256.key | quote }}}
{{- end }}
{{- if eq .component "storage" }}
- name: NATTER_STORAGE__URL
  valueFrom:
    secretKeyRef: {name: {{ $values.postgres.existingSecret }}, key: {{ $values.postgres.key | quote }}}
{{- end }}
{{- if $values.otel.endpoint }}
- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ $values.otel.endpoint | quote }}}
{{- if $values.otel.sampler }}
- {name: OTEL_TRACES_SAMPLER, value: {{ $values.otel.sampler | quote }}}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ $values.otel.samplerArg | quote }}}
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: "service.namespace={{ .root.Release.Name }},service.instance.id=$(POD_NAME),k8s.pod.name=$(POD_NAME),k8s.node.name=$(NODE_NAME),k8s.namespace.name={{ .root.Release.Namespace }}{{ range $key, $value := $values.otel.resourceAttributes }},{{ $key }}={{ $value }}{{ end }}"
{{- with $values.otel.headersSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: headers}
{{- end }}
{{- end }}
{{- with include "natter.setting" (merge (dict "key" "extraEnv") .) | fromJsonArray }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "natter.pod.mounts" -}}
- {name: config, mountPath: /etc/natter/config, readOnly: true}
{{- if has .component (list "connection" "presence" "delivery" "storage") }}
{{- include "natter.nats.mounts" .root }}
{{- end }}
{{- if eq .component "connection" }}
{{- if .root.Values.connection.tls.enabled }}
- {name: client-tls, mountPath: /etc/natter/client-tls, readOnly: true}
{{- end }}
{{- if .root.Values.auth.jwks.existingSecret }}
- {name: jwks, mountPath: /etc/natter/jwks, readOnly: true}
{{- end }}
{{- end }}
{{- if and .root.Values.admin.tls.existingSecret (ne .component "test") }}
- {name: admin-tls, mountPath: /etc/natter/admin-tls, readOnly: true}
{{- end }}
{{- if and .root.Values.canary.tokens.existingSecret (has .component (list "canary" "test")) }}
- {name: tokens, mountPath: /etc/natter/tokens, readOnly: true}
{{- end }}
{{- with include "natter.setting" (merge (dict "key" "extraVolumeMounts") .) | fromJsonArray }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "natter.pod.volumes" -}}
{{- $values := .root.Values -}}
- name: config
  configMap:
    name: {{ include "natter.component" (dict "root" .root "component" "config") }}
{{- if has .component (list "connection" "presence" "delivery" "storage") }}
{{- include "natter.nats.volumes" . }}
{{- end }}
{{- if eq .component "connection" }}
{{- if $values.connection.tls.enabled }}
- name: client-tls
  secret:
    secretName: {{ include "natter.clientTlsSecret" .root }}
    defaultMode: 0440
{{- end }}
{{- if $values.auth.jwks.existingSecret }}
- name: jwks
  secret:
    secretName: {{ $values.auth.jwks.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ $values.auth.jwks.key | quote }}, path: jwks.json}
{{- end }}
{{- end }}
{{- if and $values.admin.tls.existingSecret (ne .component "test") }}
- name: admin-tls
  secret:
    secretName: {{ $values.admin.tls.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- if and $values.canary.tokens.existingSecret (has .component (list "canary" "test")) }}
- name: tokens
  secret:
    secretName: {{ $values.canary.tokens.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- with include "natter.setting" (merge (dict "key" "extraVolumes") .) | fromJsonArray }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "natter.clientTlsSecret" -}}
{{- .Values.connection.tls.existingSecret | default (printf "%s-client-tls" (include "natter.fullname" .)) -}}
{{- end -}}

{{/* Liveness asks the process alone; readiness also whether what it needs has come up. */}}
{{- define "natter.pod.probes" -}}
{{- $scheme := ternary "HTTPS" "HTTP" (not (empty .Values.admin.tls.existingSecret)) -}}
{{- $probes := .Values.common.probes -}}
startupProbe:
  httpGet: {path: /health/live, port: admin, scheme: {{ $scheme }}}
  {{- toYaml $probes.startup | nindent 2 }}
livenessProbe:
  httpGet: {path: /health/live, port: admin, scheme: {{ $scheme }}}
  {{- toYaml $probes.liveness | nindent 2 }}
readinessProbe:
  httpGet: {path: /health/ready, port: admin, scheme: {{ $scheme }}}
  {{- toYaml $probes.readiness | nindent 2 }}
{{- end -}}

{{/* The container that runs the binary; `.args` are its arguments. */}}
{{- define "natter.pod.container" -}}
- name: natter
  image: {{ include "natter.image" .root }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args: {{ toJson .args }}
  securityContext:
    {{- toYaml .root.Values.common.securityContext | nindent 4 }}
  env:
    {{- include "natter.pod.env" . | nindent 4 }}
  {{- with include "natter.setting" (merge (dict "key" "extraEnvFrom") .) | fromJsonArray }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    {{- include "natter.pod.mounts" . | nindent 4 }}
  {{- with .resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
