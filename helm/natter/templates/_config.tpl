{{/* What becomes natter.toml: `config`, and what follows from the other values. As JSON. */}}
{{- define "natter.config" -}}
{{- $values := .Values -}}
{{- $config := deepCopy $values.config -}}
{{- $_ := mergeOverwrite $config (include "natter.config.nats" . | fromJson) -}}
{{- $connection := dict "listen" (printf "%s:8080" $values.listenAddress) -}}
{{- if $values.connection.tls.enabled -}}
{{- $_ := set $connection "tls_cert_file" "/etc/natter/client-tls/tls.crt" -}}
{{- $_ := set $connection "tls_key_file" "/etc/natter/client-tls/tls.key" -}}
{{- end -}}
{{- if and (or $values.ingress.enabled $values.httpRoute.enabled) (not $values.config.connection.address_header) -}}
{{- $_ := set $connection "address_header" "x-forwarded-for" -}}
{{- end -}}
{{- $admin := dict "listen" (printf "%s:%d" $values.listenAddress (int $values.admin.port)) -}}
{{- if $values.admin.tls.existingSecret -}}
{{- $_ := set $admin "tls_cert_file" "/etc/natter/admin-tls/tls.crt" -}}
{{- $_ := set $admin "tls_key_file" "/etc/natter/admin-tls/tls.key" -}}
{{- end -}}
{{- $auth := dict -}}
{{- with $values.auth -}}
{{- if .jwksUrl }}{{ $_ := set $auth "jwks_url" .jwksUrl }}{{ end -}}
{{- if .jwks.existingSecret }}{{ $_ := set $auth "jwks_file" "/etc/natter/jwks/jwks.json" }}{{ end -}}
{{- if .issuer }}{{ $_ := set $auth "issuer" .issuer }}{{ end -}}
{{- if .audience }}{{ $_ := set $auth "audience" .audience }}{{ end -}}
{{- end -}}
{{- $_ := mergeOverwrite $config (dict "connection" $connection "admin" $admin "auth" $auth) -}}
{{- toJson $config -}}
{{- end -}}

{{/* The part of it that says how to reach NATS. As JSON. */}}
{{- define "natter.config.nats" -}}
{{- $values := .Values -}}
{{- $nats := dict "url" (include "natter.nats.url" .) -}}
{{- if $values.natsAuth.nkeys.existingSecret -}}
{{- $_ := set $nats "nkey_file" "/etc/natter/nats-auth/user.nk" -}}
{{- else if $values.natsAuth.credentials.existingSecret -}}
{{- $_ := set $nats "credentials_file" "/etc/natter/nats-auth/nats.creds" -}}
{{- end -}}
{{- if $values.natsTls.enabled -}}
{{- $_ := set $nats "tls_required" true -}}
{{- if include "natter.natsTls.caSecret" . }}{{ $_ := set $nats "ca_file" "/etc/natter/nats-ca/ca.crt" }}{{ end -}}
{{- if $values.natsTls.clientCertificate.enabled -}}
{{- $_ := set $nats "client_cert_file" "/etc/natter/nats-tls/tls.crt" -}}
{{- $_ := set $nats "client_key_file" "/etc/natter/nats-tls/tls.key" -}}
{{- end -}}
{{- end -}}
{{- $urls := include "natter.nats.monitorUrls" . | fromJsonArray -}}
{{- toJson (dict "nats" $nats "durability" (dict "monitor_urls" $urls)) -}}
{{- end -}}

{{/* A map as TOML. Values of Helm are floats when they were read from a file: whole ones are written as such. */}}
{{- define "natter.toml" -}}
{{- range $key, $value := .map -}}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ $key }} = {{ include "natter.toml.value" $value }}
{{- end -}}
{{- end -}}
{{- range $key, $value := .map -}}
{{- if and (kindIs "map" $value) $value }}
{{- $path := ternary $key (printf "%s.%s" $.path $key) (empty $.path) }}

[{{ $path }}]
{{- include "natter.toml" (dict "map" $value "path" $path) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "natter.toml.value" -}}
{{- if kindIs "slice" . -}}
{{- $items := list -}}
{{- range . }}{{ $items = append $items (include "natter.toml.value" .) }}{{ end -}}
[{{ join ", " $items }}]
{{- else if or (kindIs "float64" .) (kindIs "int" .) (kindIs "int64" .) -}}
{{- include "natter.number" . -}}
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end -}}

{{- define "natter.number" -}}
{{- if eq (float64 (int64 .)) (float64 .) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/* Keys that running pods take over by themselves: `natter config` marks them with ↻. */}}
{{- define "natter.config.live" -}}
telemetry.log
connection.connections_max connection.unauthenticated_max connection.drain_delay_ms connection.drain_per_sec
connection.user_requests_per_sec connection.user_requests_burst
connection.address_connects_per_sec connection.address_connects_burst
connection.limits.message_bytes_max connection.limits.group_members_max connection.limits.group_name_bytes_max
connection.limits.page_items_max connection.limits.presence_users_max
auth.jwks_url auth.jwks_file auth.algorithms auth.issuer auth.audience auth.leeway_secs auth.jwks_refresh_secs auth.jwks_refetch_min_secs
{{- end -}}

{{/* Changes when pods must be replaced to see a change of the configuration. */}}
{{- define "natter.config.checksum" -}}
{{- $config := include "natter.config" . | fromJson -}}
{{- range $path := regexSplit "\\s+" (include "natter.config.live" .) -1 -}}
{{- $parts := splitList "." $path -}}
{{- $section := $config -}}
{{- range initial $parts -}}
{{- $section = get $section . | default dict -}}
{{- end -}}
{{- $_ := unset $section (last $parts) -}}
{{- end -}}
{{- if not (get $config.connection "limits") }}{{ $_ := unset $config.connection "limits" }}{{ end -}}
{{- toJson $config | sha256sum -}}
{{- end -}}

{{/* How long a gateway takes over its sessions once it is told to stop, in seconds. */}}
{{- define "natter.drainSeconds" -}}
{{- $connection := .Values.config.connection -}}
{{- $delay := divf $connection.drain_delay_ms 1000 | ceil | int -}}
{{- $closing := divf $connection.connections_max $connection.drain_per_sec | ceil | int -}}
{{- add $delay $closing -}}
{{- end -}}

{{/* terminationGracePeriodSeconds of a component. */}}
{{- define "natter.graceSeconds" -}}
{{- $own := (index .root.Values .component).terminationGracePeriodSeconds | default 0 | int -}}
{{- $margin := int .root.Values.common.stopMarginSeconds -}}
{{- $drain := ternary (include "natter.drainSeconds" .root | int) 0 (eq .component "connection") -}}
{{- if $own }}{{ $own }}{{ else }}{{ add $drain $margin }}{{ end -}}
{{- end -}}
