{{- define "natter.egress" }}
- {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
{{- end }}

{{- define "natter.egress.dns" }}
- {{- with .Values.networkPolicy.dns }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{- define "natter.egress.nats" }}
{{- $to := .root.Values.networkPolicy.nats }}
{{- if .root.Values.nats.enabled }}
{{- $labels := dict "app.kubernetes.io/name" (default "nats" .root.Values.nats.nameOverride) "app.kubernetes.io/instance" .root.Release.Name "app.kubernetes.io/component" "nats" }}
{{- $to = list (dict "podSelector" (dict "matchLabels" $labels)) }}
{{- end }}
{{- include "natter.egress" (dict "to" $to "ports" .ports) }}
{{- end }}
