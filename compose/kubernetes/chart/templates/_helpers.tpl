{{/* All services as {"list": [...]}: the values of each, with its name, its image, its group and its labels. `policy`: it
reads policy and task files, and `signs` the keys of the policy; so does `classify`, which masks by the policy's terms.
`fixed`: it is not scaled. `without`: settings of all services that it never gets: the gateway takes what comes from outside, and signs nothing of Sprat's. */}}
{{- define "sprat.services" -}}
{{- $list := list -}}
{{- range $name := list "router" "frontier" -}}
{{- $service := deepCopy (get $.Values $name) -}}
{{- $list = append $list (merge $service (dict "name" $name "image" $name "group" $name "model" "" "policy" true "signs" true)) -}}
{{- end -}}
{{- range $name, $values := .Values.models -}}
{{- if $values -}}
{{- $file := hasKey $.Values.tasks $values.task -}}
{{- $image := ternary "classify" $values.task $file -}}
{{- if and (not $file) (not (has $values.task (include "sprat.ownTasks" $ | splitList " "))) -}}
{{- fail (printf "models.%s.task: there is no task %s: name one of %s, or add its file under tasks.%s" $name $values.task (include "sprat.ownTasks" $ | replace " " ", ") $values.task) -}}
{{- end -}}
{{- $known := dict (printf "SPRAT_%s__MODEL" ($image | replace "-" "_" | upper)) $values.model -}}
{{- if $file -}}{{- $_ := set $known "SPRAT_CLASSIFY__TASK" $values.task -}}{{- end -}}
{{- $service := deepCopy $values -}}
{{- $_ := set $service "settings" (merge $known ($service.settings | default dict)) -}}
{{- $group := printf "%s.%s" $values.task $values.model -}}
{{- $list = append $list (merge $service (dict "name" $name "image" $image "group" $group "policy" $file "signs" false)) -}}
{{- end -}}
{{- end -}}
{{- range $service := $list -}}
{{- if gt (int $service.replicas.min) (int $service.replicas.max) -}}
{{- fail (printf "%s: replicas.min is larger than replicas.max" $service.name) -}}
{{- end -}}
{{- if gt (int $service.replicas.max) (int $.Values.settings.SPRAT_KAFKA__PARTITIONS) -}}
{{- fail (printf "%s: replicas.max is larger than SPRAT_KAFKA__PARTITIONS (%v); further replicas would get no partition" $service.name $.Values.settings.SPRAT_KAFKA__PARTITIONS) -}}
{{- end -}}
{{- if and (eq (int $service.replicas.min) 0) (not $.Values.autoscaling.enabled) -}}
{{- fail (printf "%s: replicas.min: 0 needs autoscaling.enabled, or nothing would ever start it" $service.name) -}}
{{- end -}}
{{- end -}}
{{- if .Values.guardian.enabled -}}
{{- $service := deepCopy .Values.guardian -}}
{{- $_ := set $service "replicas" (dict "min" .Values.guardian.replicas "max" .Values.guardian.replicas) -}}
{{- $list = append $list (merge $service (dict "name" "guardian" "image" "guardian" "group" "guardian" "model" "" "policy" true "signs" false "fixed" true)) -}}
{{- end -}}
{{- if .Values.gateway.enabled -}}
{{- $service := deepCopy .Values.gateway -}}
{{- $_ := set $service "replicas" (dict "min" .Values.gateway.replicas "max" .Values.gateway.replicas) -}}
{{- $_ := set $service "without" (list "SPRAT_SECRET" "SPRAT_PREVIOUS_SECRET") -}}
{{- $list = append $list (merge $service (dict "name" "gateway" "image" "gateway" "group" "" "model" "" "policy" true "signs" false "fixed" true)) -}}
{{- end -}}
{{- toJson (dict "list" $list) -}}
{{- end -}}

{{/* A name in this release: (dict "root" $ "name" "router") → sprat-router */}}
{{- define "sprat.name" -}}
{{ .root.Release.Name }}-{{ .name }}
{{- end -}}

{{/* Labels of an object that belongs to no service. */}}
{{- define "sprat.labels" -}}
app.kubernetes.io/part-of: sprat
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Labels by which the pods of one service are told apart; they can never change. `service` has `name` and `image`.
No version is among a pod's labels: a new version of the chart would restart services that stay the same. */}}
{{- define "sprat.selector" -}}
app.kubernetes.io/part-of: sprat
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/name: sprat-{{ .service.image }}
sprat.dev/deployment: {{ .service.name }}
{{- end -}}

{{- define "sprat.image" -}}
{{ .root.Values.images.prefix }}/{{ .image }}:{{ .tag | default .root.Values.images.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{/* A setting's value as a string; numbers of a values file are floats: 1e+06. */}}
{{- define "sprat.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{ printf "%.0f" . }}{{- else -}}{{ toString . }}{{- end -}}
{{- end -}}

{{/* A setting of one service, or of all: (dict "root" $ "service" $service "name" "SPRAT_DRAIN_S") */}}
{{- define "sprat.setting" -}}
{{- include "sprat.text" (get (merge (dict) (.service.settings | default dict) .root.Values.settings) .name) -}}
{{- end -}}

{{/* The environment of a container, each name once; a later layer goes before an earlier one. `more` is what the chart
itself knows; with `only`, names that begin so. With `deployment`, telemetry names the pod, its node and that deployment. */}}
{{- define "sprat.environment" -}}
{{- $found := dict -}}
{{- $files := dict -}}
{{- with .root.Values.certificates -}}
{{- if .ca -}}{{- $_ := set $files "SPRAT_KAFKA__SSL_CAFILE" "/etc/sprat/ca/ca.crt" -}}{{- end -}}
{{- if .client -}}
{{- $_ := set $files "SPRAT_KAFKA__SSL_CERTFILE" "/etc/sprat/client/tls.crt" -}}
{{- $_ := set $files "SPRAT_KAFKA__SSL_KEYFILE" "/etc/sprat/client/tls.key" -}}
{{- end -}}
{{- end -}}
{{- $keys := ternary .root.Values.signingKeys dict (.service.signs | default false) -}}
{{- $doors := ternary .root.Values.doorKeys dict (or (.service.signs | default false) (eq .service.name "gateway")) -}}
{{- $without := .service.without | default list -}}
{{- range $layer := list $keys $doors (.more | default dict) $files .root.Values.settings .root.Values.secrets .service.settings .service.secrets -}}
{{- range $name, $value := $layer | default dict -}}
{{- if kindIs "map" $value -}}
{{- $_ := set $found $name (dict "name" $name "valueFrom" (dict "secretKeyRef" $value)) -}}
{{- else -}}
{{- $_ := set $found $name (dict "name" $name "value" (include "sprat.text" $value)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .deployment -}}
{{- range $name, $path := dict "K8S_NAMESPACE" "metadata.namespace" "K8S_NODE" "spec.nodeName" "K8S_POD" "metadata.name" "K8S_POD_UID" "metadata.uid" -}}
{{- $_ := set $found $name (dict "name" $name "valueFrom" (dict "fieldRef" (dict "fieldPath" $path))) -}}
{{- end -}}
{{- $attributes := printf "k8s.namespace.name=$(K8S_NAMESPACE),k8s.deployment.name=%s,k8s.pod.name=$(K8S_POD),k8s.pod.uid=$(K8S_POD_UID),k8s.node.name=$(K8S_NODE)" . -}}
{{- with get $found "OTEL_RESOURCE_ATTRIBUTES" -}}{{- $attributes = printf "%s,%s" $attributes .value -}}{{- end -}}
{{- $_ := set $found "OTEL_RESOURCE_ATTRIBUTES" (dict "name" "OTEL_RESOURCE_ATTRIBUTES" "value" $attributes) -}}
{{- end -}}
{{- $only := .only | default "" }}
{{- range $name, $variable := $found }}
{{- if and (hasPrefix $only $name) (not (has $name $without)) }}
- {{ toJson $variable }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What every pod has, in the `restricted` profile. */}}
{{- define "sprat.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false # a Service named sprat-health would set SPRAT_HEALTH_PORT
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  {{- if .writes }}
  fsGroup: 10001 # a volume of its own is writable for this group
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.pods.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.pods.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "sprat.container" -}}
imagePullPolicy: {{ .Values.images.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "sprat.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.certificates.ca }}
- {name: ca, mountPath: /etc/sprat/ca, readOnly: true}
{{- end }}
{{- if .Values.certificates.client }}
- {name: client, mountPath: /etc/sprat/client, readOnly: true}
{{- end }}
{{- end -}}

{{- define "sprat.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with .Values.certificates.ca }}
- name: ca
  secret: {secretName: {{ . }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- with .Values.certificates.client }}
- name: client
  secret: {secretName: {{ . }}, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
{{- end }}
{{- end -}}

{{/* The task files, as the data of a ConfigMap. A label without a meaning has none there, and not the word null. */}}
{{- define "sprat.tasks" -}}
{{- range $name, $file := .Values.tasks }}
{{ $name }}.yaml: {{ ternary $file (regexReplaceAll "(?m): null$" (toYaml $file) ":") (kindIs "string" $file) | quote }}
{{- end }}
{{- end -}}

{{- define "sprat.policy" -}}
{{- .Values.policy | default (.Files.Get "files/policy.yaml") -}}
{{- end -}}
