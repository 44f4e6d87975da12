{{- define "natter.certificate" }}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  {{- include "natter.metadata" (dict "root" .root "component" "certificates" "name" .name) | nindent 2 }}
spec:
  secretName: {{ .name }}
  commonName: {{ .commonName | quote }}
  {{- with .dnsNames }}
  dnsNames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  duration: {{ .root.Values.natsTls.certManager.duration }}
  renewBefore: {{ .root.Values.natsTls.certManager.renewBefore }}
  # A new key with each certificate; running pods take it without a restart.
  privateKey: {algorithm: ECDSA, size: 256, rotationPolicy: Always}
  usages: {{ toJson .usages }}
  issuerRef:
    {{- toYaml .issuer | nindent 4 }}
{{- end }}
