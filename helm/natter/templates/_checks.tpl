{{/* What no schema can say: rules between values. All that is wrong is told at once. */}}
{{- define "natter.checks" -}}
{{- $wrong := concat
      (include "natter.checks.managed" . | fromJsonArray)
      (include "natter.checks.needed" . | fromJsonArray)
      (include "natter.checks.drain" . | fromJsonArray)
      (include "natter.checks.nats" . | fromJsonArray)
      (include "natter.checks.scaling" . | fromJsonArray)
      (include "natter.checks.edges" . | fromJsonArray) -}}
{{- if $wrong -}}
{{- fail (printf "\n\n%d of the values cannot work:\n  - %s\n" (len $wrong) (join "\n  - " $wrong)) -}}
{{- end -}}
{{- end -}}

{{/* Keys of `config` that other values set. */}}
{{- define "natter.checks.managed" -}}
{{- $wrong := list -}}
{{- $sqlite := "an archive in SQLite is a file of one process, and a release rolls with two: use PostgreSQL, postgres.existingSecret" -}}
{{- $managed := dict
      "connection.listen" "set listenAddress"
      "connection.tls_cert_file" "set connection.tls"
      "connection.tls_key_file" "set connection.tls"
      "admin.listen" "set admin.port"
      "admin.tls_cert_file" "set admin.tls.existingSecret"
      "admin.tls_key_file" "set admin.tls.existingSecret"
      "nats.url" "set externalNats.url, or nats.enabled"
      "nats.nkey_file" "set natsAuth.nkeys"
      "nats.credentials_file" "set natsAuth.credentials"
      "nats.ca_file" "set natsTls.ca"
      "nats.client_cert_file" "set natsTls.clientCertificate"
      "nats.client_key_file" "set natsTls.clientCertificate"
      "nats.tls_required" "set natsTls.enabled"
      "durability.monitor_urls" "set externalNats.monitorUrls"
      "storage.url" "it holds a password and belongs into a Secret, postgres.existingSecret"
      "auth.hs256_secret" "it belongs into a Secret, auth.hs256.existingSecret"
      "auth.jwks_url" "set auth.jwksUrl"
      "auth.jwks_file" "set auth.jwks.existingSecret"
      "auth.issuer" "set auth.issuer"
      "auth.audience" "set auth.audience" -}}
{{- range $path, $instead := $managed -}}
{{- $parts := splitList "." $path -}}
{{- $value := get (get $.Values.config (first $parts) | default dict) (last $parts) -}}
{{- if not (kindIs "invalid" $value) -}}
{{- if not (eq (toString $value) "") -}}
{{- $why := ternary $sqlite $instead (and (eq $path "storage.url") (hasPrefix "sqlite" (toString $value))) -}}
{{- $wrong = append $wrong (printf "config.%s: %s" $path $why) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{/* What a release cannot do without. */}}
{{- define "natter.checks.needed" -}}
{{- $wrong := list -}}
{{- with .Values -}}
{{- if and (not .nats.enabled) (not .externalNats.url) -}}
{{- $wrong = append $wrong "externalNats.url: name the servers of your NATS, or bring one along with nats.enabled=true" -}}
{{- end -}}
{{- if and .nats.enabled .externalNats.url -}}
{{- $wrong = append $wrong "externalNats.url: leave it empty when nats.enabled is true: only one of them can hold the log" -}}
{{- end -}}
{{- if not .postgres.existingSecret -}}
{{- $wrong = append $wrong "postgres.existingSecret: name a Secret whose key `url` is postgres://user:password@host/database" -}}
{{- end -}}
{{- if not (or .auth.jwksUrl .auth.jwks.existingSecret .auth.hs256.existingSecret) -}}
{{- $wrong = append $wrong "auth.jwksUrl: name your issuer's public keys (or auth.jwks.existingSecret, or for development auth.hs256.existingSecret): without a key no token can be trusted" -}}
{{- end -}}
{{- if and .auth.jwksUrl .auth.jwks.existingSecret -}}
{{- $wrong = append $wrong "auth.jwks.existingSecret: leave it empty when auth.jwksUrl is set" -}}
{{- end -}}
{{- if and .natsAuth.nkeys.existingSecret .natsAuth.credentials.existingSecret -}}
{{- $wrong = append $wrong "natsAuth.credentials.existingSecret: leave it empty when natsAuth.nkeys is used" -}}
{{- end -}}
{{- if and .canary.enabled (not .canary.tokens.existingSecret) (not .auth.hs256.existingSecret) -}}
{{- $wrong = append $wrong "canary.tokens.existingSecret: name a Secret with a token for each of the two users of the canary" -}}
{{- end -}}
{{- if eq (len .canary.users) 1 -}}
{{- $wrong = append $wrong "canary.users: a canary is two users, name both or none" -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{/* A gateway that is killed in the middle of its drain sends its users away at once, as a herd. */}}
{{- define "natter.checks.drain" -}}
{{- $wrong := list -}}
{{- $drain := include "natter.drainSeconds" . | int -}}
{{- $grace := include "natter.graceSeconds" (dict "root" . "component" "connection") | int -}}
{{- $rest := 15 -}}
{{- if lt $grace (add $drain $rest | int) -}}
{{- $wrong = append $wrong (printf "connection.terminationGracePeriodSeconds: %d s is less than the %d s that the drain takes (drain_delay_ms %s + connections_max %s / drain_per_sec %s) and %d s for the rest: raise it, leave it at 0, or raise config.connection.drain_per_sec" $grace $drain (include "natter.number" .Values.config.connection.drain_delay_ms) (include "natter.number" .Values.config.connection.connections_max) (include "natter.number" .Values.config.connection.drain_per_sec) $rest) -}}
{{- end -}}
{{- range list "presence" "delivery" "storage" -}}
{{- $grace := include "natter.graceSeconds" (dict "root" $ "component" .) | int -}}
{{- if lt $grace $rest -}}
{{- $wrong = append $wrong (printf "%s.terminationGracePeriodSeconds: %d s is less than the %d s in which it hands over its partitions" . $grace $rest) -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "natter.checks.nats" -}}
{{- $wrong := list -}}
{{- with .Values -}}
{{- $replicas := int .config.nats.replicas -}}
{{- if .nats.enabled -}}
{{- $servers := ternary (int .nats.config.cluster.replicas) 1 .nats.config.cluster.enabled -}}
{{- if gt $replicas $servers -}}
{{- $wrong = append $wrong (printf "config.nats.replicas: %d copies of each stream need %d servers, and nats.config.cluster has %d" $replicas $replicas $servers) -}}
{{- end -}}
{{- if not .nats.config.jetstream.enabled -}}
{{- $wrong = append $wrong "nats.config.jetstream.enabled: the log is kept in JetStream, so it must be true" -}}
{{- end -}}
{{- if ne (toString (dig "merge" "sync_interval" "" .nats.config.jetstream)) "always" -}}
{{- if ge (int (.config.durability | default dict).sync_interval_ms_max) 1 | not -}}
{{- $wrong = append $wrong "nats.config.jetstream.merge.sync_interval: with anything but `always` an accepted message may be in a page cache only; if you accept that, say how long in config.durability.sync_interval_ms_max" -}}
{{- end -}}
{{- end -}}
{{- if ne .natsTls.enabled (dig "tls" "enabled" false (.nats.config.nats | default dict)) -}}
{{- $wrong = append $wrong "natsTls.enabled: must say the same as nats.config.nats.tls.enabled" -}}
{{- end -}}
{{- else if .externalNats.url -}}
{{- range splitList "," .externalNats.url -}}
{{- if and (hasPrefix "tls://" (trim .)) (not $.Values.natsTls.enabled) -}}
{{- $wrong = append $wrong "natsTls.enabled: must be true when externalNats.url begins with tls://" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .natsTls.clientCertificate.enabled (not .natsTls.enabled) -}}
{{- $wrong = append $wrong "natsTls.enabled: must be true when natsTls.clientCertificate.enabled is" -}}
{{- end -}}
{{- if and .natsTls.enabled .natsTls.clientCertificate.enabled (not .natsTls.clientCertificate.existingSecret) (not .natsTls.certManager.issuerRef.name) -}}
{{- $wrong = append $wrong "natsTls.certManager.issuerRef.name: name an issuer, or a Secret in natsTls.clientCertificate.existingSecret" -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "natter.checks.scaling" -}}
{{- $wrong := list -}}
{{- $partitions := int .Values.config.nats.partitions -}}
{{- range $component := list "connection" "delivery" "storage" -}}
{{- $own := index $.Values $component -}}
{{- $most := ternary (int $own.autoscaling.maxReplicas) (int $own.replicas) $own.autoscaling.enabled -}}
{{- $key := ternary "autoscaling.maxReplicas" "replicas" $own.autoscaling.enabled -}}
{{- if and (ne $component "connection") (gt $most $partitions) -}}
{{- $wrong = append $wrong (printf "%s.%s: %d replicas share %d partitions (config.nats.partitions), so some would never work" $component $key $most $partitions) -}}
{{- end -}}
{{- if and $own.autoscaling.enabled (gt (int $own.autoscaling.minReplicas) (int $own.autoscaling.maxReplicas)) -}}
{{- $wrong = append $wrong (printf "%s.autoscaling.minReplicas: is more than maxReplicas" $component) -}}
{{- end -}}
{{- if and $own.autoscaling.enabled $own.autoscaling.keda (not $.Values.keda.serverAddress) -}}
{{- $wrong = append $wrong (printf "keda.serverAddress: name the Prometheus that KEDA asks for %s" $component) -}}
{{- end -}}
{{- end -}}
{{- with .Values -}}
{{- if and .connection.autoscaling.enabled (ge (int .connection.autoscaling.target) (int .config.connection.connections_max)) -}}
{{- $wrong = append $wrong (printf "connection.autoscaling.target: %d sessions are never reached with config.connection.connections_max %s; aim for about 60 %% of it" (int .connection.autoscaling.target) (include "natter.number" .config.connection.connections_max)) -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{/* How clients come in. */}}
{{- define "natter.checks.edges" -}}
{{- $wrong := list -}}
{{- with .Values -}}
{{- if and .ingress.enabled (not .ingress.hosts) -}}
{{- $wrong = append $wrong "ingress.hosts: name at least one host" -}}
{{- end -}}
{{- if and .httpRoute.enabled (not .httpRoute.parentRefs) -}}
{{- $wrong = append $wrong "httpRoute.parentRefs: name the Gateway that the route belongs to" -}}
{{- end -}}
{{- if and .connection.tls.enabled (not .connection.tls.existingSecret) -}}
{{- if not .connection.tls.certManager.issuerRef.name -}}
{{- $wrong = append $wrong "connection.tls.certManager.issuerRef.name: name an issuer, or a Secret in connection.tls.existingSecret" -}}
{{- end -}}
{{- if not .connection.tls.certManager.dnsNames -}}
{{- $wrong = append $wrong "connection.tls.certManager.dnsNames: name the hosts that clients connect to" -}}
{{- end -}}
{{- end -}}
{{- $sends := or .canary.enabled (and .tests.enabled (or .canary.tokens.existingSecret .auth.hs256.existingSecret)) -}}
{{- if and .connection.tls.enabled $sends (not .canary.urls) -}}
{{- $wrong = append $wrong "canary.urls: gateways speak TLS, so the canary and `helm test` must call them as their certificate does, such as wss://chat.example.com" -}}
{{- end -}}
{{- $seconds := divf (.config.connection.ping_interval_ms | default 25000) 1000 | ceil | int -}}
{{- if and .ingress.enabled (le (int .ingress.timeoutSeconds) $seconds) -}}
{{- $wrong = append $wrong (printf "ingress.timeoutSeconds: %d s would cut idle WebSockets between two pings, which come every %d s" (int .ingress.timeoutSeconds) $seconds) -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}
