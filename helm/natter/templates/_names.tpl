{{/* Helpers take the root context, or `dict "root" $ "component" NAME` where they differ by component. */}}

{{- define "natter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The prefix of names; short enough that the longest suffix still fits into a label. */}}
{{- define "natter.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "natter.component" -}}
{{- printf "%s-%s" (include "natter.fullname" .root) .component -}}
{{- end -}}

{{/* Labels of every pod of this release, of whatever component. */}}
{{- define "natter.releaseLabels" -}}
app.kubernetes.io/name: {{ include "natter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "natter.selectorLabels" -}}
{{ include "natter.releaseLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "natter.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "natter.selectorLabels" . }}
app.kubernetes.io/part-of: natter
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* `metadata` of an object: name (optional), labels, annotations. `.annotations` adds to the common ones. */}}
{{- define "natter.metadata" -}}
name: {{ .name | default (include "natter.component" .) }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "natter.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with mergeOverwrite (deepCopy .root.Values.commonAnnotations) (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "natter.image" -}}
{{- $image := .Values.image -}}
{{- $path := $image.repository -}}
{{- if $image.registry -}}
{{- $path = printf "%s/%s" $image.registry $image.repository -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $path $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $path ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The services, in the order in which a release should be read. */}}
{{- define "natter.services" -}}
connection presence delivery storage
{{- end -}}

{{/* The URL of the gateways' Service. */}}
{{- define "natter.gatewayUrl" -}}
{{- $scheme := ternary "wss" "ws" .Values.connection.tls.enabled -}}
{{- printf "%s://%s.%s.svc:%d" $scheme (include "natter.component" (dict "root" . "component" "connection")) .Release.Namespace (int .Values.connection.service.port) -}}
{{- end -}}
