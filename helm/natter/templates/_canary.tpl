{{- define "natter.canary.args" -}}
{{- $args := list "canary" -}}
{{- if .once }}{{ $args = append $args "--once" }}{{ end -}}
{{- $gateway := include "natter.gatewayUrl" .root -}}
{{- range .root.Values.canary.urls | default (list $gateway $gateway) -}}
{{- $args = concat $args (list "--url" .) -}}
{{- end -}}
{{- with .root.Values.canary.caFile -}}
{{- $args = concat $args (list "--ca-file" .) -}}
{{- end -}}
{{- if .root.Values.canary.tokens.existingSecret -}}
{{- range .root.Values.canary.tokens.keys -}}
{{- $args = concat $args (list "--token-file" (printf "/etc/natter/tokens/%s" .)) -}}
{{- end -}}
{{- end -}}
{{- with .root.Values.canary.users -}}
{{- $args = concat $args (list "--pair" (join "," .)) -}}
{{- end -}}
{{- toJson $args -}}
{{- end -}}
