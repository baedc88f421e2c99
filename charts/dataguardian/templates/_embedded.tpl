{{/* An embedded service: one pod, one volume, one address. Each takes a list: the root context, the service's name,
its values (…embedded) and its port. */}}

{{- define "dataguardian.embedded.service" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "dataguardian.metadata" (list $root (printf "-%s" $name) $name) | nindent 2 }}
spec:
  selector:
    {{- include "dataguardian.selectorLabels" (list $root $name) | nindent 4 }}
  ports:
    - {name: {{ $name }}, port: {{ index . 3 }}, targetPort: {{ $name }}}
{{- end -}}

{{/* The part of the StatefulSet's spec that the services share. The claim has no label that an upgrade would change:
claim templates cannot be changed. */}}
{{- define "dataguardian.embedded.spec" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $values := index . 2 -}}
replicas: 1
serviceName: {{ include "dataguardian.fullname" $root }}-{{ $name }}
selector:
  matchLabels:
    {{- include "dataguardian.selectorLabels" (list $root $name) | nindent 4 }}
volumeClaimTemplates:
  - metadata:
      name: data
      labels:
        {{- include "dataguardian.selectorLabels" (list $root $name) | nindent 8 }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with $values.storage.className }}
      storageClassName: {{ . }}
      {{- end }}
      resources: {requests: {storage: {{ $values.storage.size }}}}
{{- end -}}

{{/* No label that each release changes: an upgrade of the chart restarts no database. */}}
{{- define "dataguardian.embedded.podMetadata" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "dataguardian.selectorLabels" (list $root (index . 1)) | nindent 2 }}
  app.kubernetes.io/part-of: dataguardian
  {{- with $root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "dataguardian.embedded.pod" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $root.Values.terminationGracePeriodSeconds }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with include "dataguardian.placement" $root | trim }}
{{- . | nindent 0 }}
{{- end }}
{{- end -}}

{{- define "dataguardian.embedded.container" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $values := index . 2 -}}
name: {{ $name }}
image: {{ include "dataguardian.image" (list $values.image "") }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  {{- toYaml $root.Values.securityContext | nindent 2 }}
ports:
  - {name: {{ $name }}, containerPort: {{ index . 3 }}}
resources:
  {{- toYaml $values.resources | nindent 2 }}
{{- end -}}
