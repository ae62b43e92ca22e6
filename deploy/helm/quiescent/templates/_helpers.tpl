{{/* A file that the chart shares with kustomize, for the namespace of the release. */}}
{{- define "quiescent.shared" -}}
{{- $text := .root.Files.Get .file | replace "quiescent.quiescent.svc" (printf "quiescent.%s.svc" .root.Release.Namespace) }}
{{- $text = $text | replace "velero, quiescent]" (printf "%s, %s]" .root.Values.veleroNamespace .root.Release.Namespace) }}
{{- $text = regexReplaceAll "namespace: velero\\b" $text (printf "namespace: %s" .root.Values.veleroNamespace) }}
{{- regexReplaceAll "namespace: quiescent\\b" $text (printf "namespace: %s" .root.Release.Namespace) }}
{{- end }}

{{/* What the pods of both Deployments have in common: where they may run, and as whom. */}}
{{- define "quiescent.pod" -}}
serviceAccountName: {{ .name }}
automountServiceAccountToken: true
# A Service has variables that begin with its name, and so have our settings.
enableServiceLinks: false
priorityClassName: {{ .root.Values.priorityClass.name }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    {{- if .root.Values.highAvailability }}
    whenUnsatisfiable: DoNotSchedule
    minDomains: 2
    {{- else }}
    whenUnsatisfiable: ScheduleAnyway
    {{- end }}
    labelSelector: {matchLabels: {app.kubernetes.io/name: {{ .name }}}}
    matchLabelKeys: [pod-template-hash]
  {{- if .root.Values.highAvailability }}
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: {matchLabels: {app.kubernetes.io/name: {{ .name }}}}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}

{{/* The same of their containers. What the values say of a variable is the last word. */}}
{{- define "quiescent.container" -}}
{{- $image := printf "%s:%s" .root.Values.image.repository (.root.Values.image.tag | default .root.Chart.AppVersion) }}
{{- $env := merge (deepCopy .values.env) .env (dict "QUIESCENT_VELERO_NAMESPACE" .root.Values.veleroNamespace "QUIESCENT_IMAGE" $image) }}
{{- if .root.Values.policies }}
{{- $env = merge $env (dict "QUIESCENT_POLICIES" "/policies" "QUIESCENT_LIBRARY" "true") }}
{{- end -}}
image: {{ $image }}
{{- with .root.Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
env:
  - {name: QUIESCENT_OWN_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
  {{- range $name, $value := $env }}
  - {name: {{ $name }}, value: {{ quote $value }}}
  {{- end }}
livenessProbe: {httpGet: {path: /livez, port: admin}}
startupProbe: {httpGet: {path: /livez, port: admin}, periodSeconds: 1, failureThreshold: 30}
resources: {{ toJson .values.resources }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}
