{{/* How the NATS that comes with the release is called; as its own chart does it. */}}
{{- define "natter.nats.fullname" -}}
{{- $nats := .Values.nats -}}
{{- if $nats.fullnameOverride -}}
{{- $nats.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default "nats" $nats.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "natter.nats.url" -}}
{{- if .Values.nats.enabled -}}
{{- $scheme := ternary "tls" "nats" .Values.natsTls.enabled -}}
{{- printf "%s://%s.%s.svc:4222" $scheme (include "natter.nats.fullname" .) .Release.Namespace -}}
{{- else -}}
{{- .Values.externalNats.url -}}
{{- end -}}
{{- end -}}

{{/* The monitoring addresses of all servers. As JSON. */}}
{{- define "natter.nats.monitorUrls" -}}
{{- $urls := .Values.externalNats.monitorUrls -}}
{{- if .Values.nats.enabled -}}
{{- $urls = list -}}
{{- $name := include "natter.nats.fullname" . -}}
{{- range $i := until (int .Values.nats.config.cluster.replicas) -}}
{{- $urls = append $urls (printf "http://%s-%d.%s-headless.%s.svc:8222" $name $i $name $.Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- toJson $urls -}}
{{- end -}}

{{/* The ports in a list of URLs, each once. As JSON. */}}
{{- define "natter.ports" -}}
{{- $ports := list -}}
{{- range .urls -}}
{{- $url := urlParse (trim .) -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{- $usual := dict "https" 443 "wss" 443 "http" 80 "ws" 80 "nats" 4222 "tls" 4222 -}}
{{- $ports = append $ports (int (default (get $usual $url.scheme) $port)) -}}
{{- end -}}
{{- toJson (uniq $ports) -}}
{{- end -}}

{{/* The Secret with the certificate authority of NATS, or nothing. */}}
{{- define "natter.natsTls.caSecret" -}}
{{- $tls := .Values.natsTls -}}
{{- if $tls.ca.existingSecret -}}
{{- $tls.ca.existingSecret -}}
{{- else if $tls.clientCertificate.enabled -}}
{{- include "natter.natsTls.clientSecret" . -}}
{{- end -}}
{{- end -}}

{{- define "natter.natsTls.clientSecret" -}}
{{- .Values.natsTls.clientCertificate.existingSecret | default (printf "%s-nats-client" (include "natter.fullname" .)) -}}
{{- end -}}

{{/* Whether cert-manager makes the certificate that NATS is shown: then it does not exist before the release. */}}
{{- define "natter.natsTls.made" -}}
{{- $tls := .Values.natsTls -}}
{{- if and $tls.enabled $tls.clientCertificate.enabled (not $tls.clientCertificate.existingSecret) }}yes{{ end -}}
{{- end -}}

{{/* How streams are applied. A hook before the install would run before a NATS of the same release; one after
     it would wait for pods (`--wait`) that wait for the streams. So the first install uses an ordinary Job. */}}
{{- define "natter.applyMode" -}}
{{- $mode := .Values.streams.apply.mode -}}
{{- if ne $mode "auto" -}}
{{- $mode -}}
{{- else if and .Release.IsInstall (or .Values.nats.enabled (include "natter.natsTls.made" .)) -}}
job
{{- else -}}
hook
{{- end -}}
{{- end -}}

{{/* Volumes for the connection to NATS. */}}
{{- define "natter.nats.volumes" -}}
{{- $values := .root.Values -}}
{{- with $values.natsAuth.nkeys }}
{{- if .existingSecret }}
- name: nats-auth
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ index .keys $.component | quote }}, path: user.nk}
{{- else if $values.natsAuth.credentials.existingSecret }}
- name: nats-auth
  secret:
    secretName: {{ $values.natsAuth.credentials.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ $values.natsAuth.credentials.key | quote }}, path: nats.creds}
{{- end }}
{{- end }}
{{- if $values.natsTls.enabled }}
{{- with include "natter.natsTls.caSecret" .root }}
- name: nats-ca
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - {key: {{ $values.natsTls.ca.key | quote }}, path: ca.crt}
{{- end }}
{{- if $values.natsTls.clientCertificate.enabled }}
- name: nats-tls
  secret:
    secretName: {{ include "natter.natsTls.clientSecret" .root }}
    defaultMode: 0440
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
{{- end }}
{{- end }}
{{- end -}}

{{/* Whole folders are mounted: files mounted one by one never change while a pod runs. */}}
{{- define "natter.nats.mounts" -}}
{{- $values := .Values -}}
{{- if or $values.natsAuth.nkeys.existingSecret $values.natsAuth.credentials.existingSecret }}
- {name: nats-auth, mountPath: /etc/natter/nats-auth, readOnly: true}
{{- end }}
{{- if $values.natsTls.enabled }}
{{- if include "natter.natsTls.caSecret" . }}
- {name: nats-ca, mountPath: /etc/natter/nats-ca, readOnly: true}
{{- end }}
{{- if $values.natsTls.clientCertificate.enabled }}
- {name: nats-tls, mountPath: /etc/natter/nats-tls, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}
