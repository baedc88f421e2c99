{{/* Parts of pods. */}}

{{/* Where a pod of this chart runs, and how its images are pulled. */}}
{{- define "dataguardian.placement" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* What operator, api and migrate have in common. */}}
{{- define "dataguardian.container" -}}
image: {{ include "dataguardian.ownImage" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
env:
  {{- include "dataguardian.environment" . | nindent 2 }}
volumeMounts:
  - {name: credentials, mountPath: /run/dataguardian/credentials, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Passwords are files, never variables: a variable is seen by whoever may describe the pod. */}}
{{- define "dataguardian.environment" -}}
- name: DATAGUARDIAN_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: DATAGUARDIAN_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- if .Values.postgres.embedded.enabled }}
- name: DATAGUARDIAN_POSTGRES_HOST
  value: {{ include "dataguardian.fullname" . }}-postgres
- name: DATAGUARDIAN_POSTGRES_DATABASE
  value: dataguardian
{{- else }}
{{- with .Values.postgres.external }}
- name: DATAGUARDIAN_POSTGRES_HOST
  value: {{ .host | quote }}
- name: DATAGUARDIAN_POSTGRES_PORT
  value: {{ .port | quote }}
- name: DATAGUARDIAN_POSTGRES_DATABASE
  value: {{ .database | quote }}
- name: DATAGUARDIAN_POSTGRES_SSLMODE
  value: {{ .sslmode }}
{{- end }}
{{- end }}
- name: DATAGUARDIAN_POSTGRES_USERNAME_FILE
  value: /run/dataguardian/credentials/postgres-username
- name: DATAGUARDIAN_POSTGRES_PASSWORD_FILE
  value: /run/dataguardian/credentials/postgres-password
{{- if .Values.redis.embedded.enabled }}
- name: DATAGUARDIAN_REDIS_HOST
  value: {{ include "dataguardian.fullname" . }}-redis
{{- else }}
{{- with .Values.redis.external }}
- name: DATAGUARDIAN_REDIS_HOST
  value: {{ .host | quote }}
- name: DATAGUARDIAN_REDIS_PORT
  value: {{ .port | quote }}
- name: DATAGUARDIAN_REDIS_TLS
  value: {{ .tls | quote }}
{{- end }}
{{- end }}
{{- if or .Values.redis.embedded.enabled .Values.redis.external.existingSecret.name }}
- name: DATAGUARDIAN_REDIS_PASSWORD_FILE
  value: /run/dataguardian/credentials/redis-password
{{- end }}
- name: DATAGUARDIAN_MAX_CONCURRENT_EXECUTIONS
  value: {{ .Values.maxConcurrentExecutions | quote }}
- name: DATAGUARDIAN_START_DEADLINE_SECONDS
  value: {{ .Values.startDeadlineSeconds | quote }}
- name: DATAGUARDIAN_RUNNER_IMAGE
  value: {{ include "dataguardian.ownImage" . }}
- name: DATAGUARDIAN_RUNNER_IMAGE_PULL_POLICY
  value: {{ .Values.image.pullPolicy }}
{{- with .Values.image.pullSecrets }}
{{- $names := list }}
{{- range . }}{{ $names = append $names .name }}{{ end }}
- name: DATAGUARDIAN_RUNNER_IMAGE_PULL_SECRETS
  value: {{ join "," $names }}
{{- end }}
- name: DATAGUARDIAN_VERIFICATION_SERVERS
  value: {{ include "dataguardian.verificationServers" . | quote }}
- name: DATAGUARDIAN_KUBERNETES_QPS
  value: {{ .Values.operator.kubernetesApi.qps | quote }}
- name: DATAGUARDIAN_KUBERNETES_BURST
  value: {{ .Values.operator.kubernetesApi.burst | quote }}
{{- with .Values.api.corsOrigins }}
- name: DATAGUARDIAN_API_CORS_ORIGINS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The throw-away servers of verifications, as JSON. */}}
{{- define "dataguardian.verificationServers" -}}
{{- $servers := dict -}}
{{- range $engine, $given := .Values.verification -}}
{{- $image := include "dataguardian.image" (list $given.image "{major}") -}}
{{- $_ := set $servers $engine (dict "image" $image "user" (int $given.runAsUser) "size_limit" $given.sizeLimit "resources" $given.resources) -}}
{{- end -}}
{{- toJson $servers -}}
{{- end -}}

{{/* Sources of the volume of credentials, one file a key. */}}
{{- define "dataguardian.credentials" -}}
{{- if .Values.postgres.embedded.enabled }}
- secret:
    name: {{ include "dataguardian.embeddedSecretName" . }}
    items:
      - {key: postgres-username, path: postgres-username}
      - {key: postgres-password, path: postgres-password}
{{- else }}
{{- with .Values.postgres.external.existingSecret }}
- secret:
    name: {{ .name }}
    items:
      - {key: {{ .usernameKey }}, path: postgres-username}
      - {key: {{ .passwordKey }}, path: postgres-password}
{{- end }}
{{- end }}
{{- if .Values.redis.embedded.enabled }}
- secret:
    name: {{ include "dataguardian.embeddedSecretName" . }}
    items:
      - {key: redis-password, path: redis-password}
{{- else if .Values.redis.external.existingSecret.name }}
{{- with .Values.redis.external.existingSecret }}
- secret:
    name: {{ .name }}
    items:
      - {key: {{ .passwordKey }}, path: redis-password}
{{- end }}
{{- end }}
{{- end -}}
