{{/* Names and labels. Every named template takes the root context unless it says otherwise. */}}

{{- define "dataguardian.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Shorter than the 63 characters of a name, so that a suffix such as -bootstrap-01234567 fits. */}}
{{- define "dataguardian.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 43 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "dataguardian.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 43 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "dataguardian.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "dataguardian.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: dataguardian
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes a list: the root context and the component. */}}
{{- define "dataguardian.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "dataguardian.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Metadata of an object. Takes a list: the root context, the name's suffix and the component. */}}
{{- define "dataguardian.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "dataguardian.fullname" $root }}{{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "dataguardian.labels" $root | nindent 2 }}
  app.kubernetes.io/component: {{ index . 2 }}
{{- end -}}

{{/* Takes a list: the image's values and the tag when they have none. */}}
{{- define "dataguardian.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default (index . 1) $image.tag }}
{{- end -}}
{{- end -}}

{{- define "dataguardian.ownImage" -}}
{{- include "dataguardian.image" (list .Values.image .Chart.AppVersion) -}}
{{- end -}}

{{- define "dataguardian.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "dataguardian.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The Secret that `dataguardian bootstrap-secret` makes for the embedded services. */}}
{{- define "dataguardian.embeddedSecretName" -}}
{{- include "dataguardian.fullname" . }}-embedded
{{- end -}}
