{{- define "natter.apply.pod" }}
metadata:
  labels:
    {{- include "natter.pod.labels" . | nindent 4 }}
spec:
  {{- include "natter.pod.place" . | nindent 2 }}
  restartPolicy: OnFailure
  containers:
    - name: natter
      image: {{ include "natter.image" .root }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: [nats, apply]
      securityContext:
        {{- toYaml .root.Values.common.securityContext | nindent 8 }}
      # A hook runs before the release's ConfigMap is there, so the keys it needs stand here.
      env:
        {{- range $key, $value := (include "natter.config" .root | fromJson).nats }}
        {{- if not (kindIs "invalid" $value) }}
        - name: NATTER_NATS__{{ upper $key }}
          value: {{ ternary $value (include "natter.toml.value" $value) (kindIs "string" $value) | quote }}
        {{- end }}
        {{- end }}
        - {name: NATTER_TELEMETRY__FORMAT, value: {{ .root.Values.config.telemetry.format | default "json" | quote }}}
        {{- with .root.Values.common.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .root.Values.common.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- $mounts := printf "%s" (include "natter.nats.mounts" .root) | trim }}
      {{- with .root.Values.common.extraVolumeMounts }}
      {{- $mounts = printf "%s\n%s" $mounts (toYaml .) | trim }}
      {{- end }}
      {{- with $mounts }}
      volumeMounts:
        {{- . | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml .root.Values.streams.apply.resources | nindent 8 }}
  {{- $volumes := include "natter.nats.volumes" . | trim }}
  {{- with .root.Values.common.extraVolumes }}
  {{- $volumes = printf "%s\n%s" $volumes (toYaml .) | trim }}
  {{- end }}
  {{- with $volumes }}
  volumes:
    {{- . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Objects of a hook are not owned by the release: under a name of their own they never stand in its way. */}}
{{- define "natter.apply.name" -}}
{{- $name := include "natter.component" (dict "root" . "component" "apply") -}}
{{- ternary (printf "%s-hook" $name) $name (eq (include "natter.applyMode" .) "hook") -}}
{{- end -}}
