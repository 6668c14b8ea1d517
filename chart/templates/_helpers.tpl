{{/*
Every template calls this first. A null in the values of a release deletes the default under it (helm's rule), and a null in options stays there.
Nulls in options are dropped, and defaults that the templates need come back; what a pod can do without stays away.
*/}}
{{- define "podnet.prepare" -}}
{{- $optional := list "affinity" "appArmorProfile" "livenessProbe" "nodeSelector" "readinessProbe" "resources" "seccompProfile" "seLinuxOptions" "startupProbe"
  "tolerations" "updateStrategy" -}}
{{- range $key, $default := .Files.Get "defaults.yaml" | fromYaml -}}
{{- if has $key $optional -}}
{{- else if kindIs "invalid" (index $.Values $key) -}}
{{- $_ := set $.Values $key $default -}}
{{- else if kindIs "map" $default -}}
{{- include "podnet.fillNulls" (list (index $.Values $key) $default) -}}
{{- end -}}
{{- end -}}
{{- include "podnet.dropNulls" .Values.options -}}
{{- include "podnet.dropNulls" .Values.liveOptions -}}
{{- /* YAML reads a bare off as false. */ -}}
{{- range $option := (.Files.Get "options.yaml" | fromYaml).withOff -}}
{{- $path := splitList "." $option -}}
{{- range $values := list $.Values.options $.Values.liveOptions -}}
{{- $section := get $values (first $path) -}}
{{- if and (kindIs "map" $section) (kindIs "bool" (get $section (last $path))) -}}
{{- $_ := set $section (last $path) "off" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Arguments: map, its defaults. A single label of the defaults can be taken away. */}}
{{- define "podnet.fillNulls" -}}
{{- $map := index . 0 -}}
{{- range $key, $default := index . 1 -}}
{{- if kindIs "invalid" (index $map $key) -}}
{{- $_ := set $map $key $default -}}
{{- else if and (kindIs "map" $default) (ne $key "labels") -}}
{{- include "podnet.fillNulls" (list (index $map $key) $default) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "podnet.dropNulls" -}}
{{- $map := . -}}
{{- range $key, $value := . -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $map $key -}}
{{- else if kindIs "map" $value -}}
{{- include "podnet.dropNulls" $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "podnet.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{- define "podnet.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "podnet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "podnet.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "podnet.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "podnet.selectorLabels" -}}
app.kubernetes.io/name: {{ include "podnet.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The chart's own labels win over the labels of the values. */}}
{{- define "podnet.labels" -}}
{{- include "podnet.labelsWith" (list . dict) -}}
{{- end -}}

{{/* Arguments: root, more labels. */}}
{{- define "podnet.labelsWith" -}}
{{- $root := index . 0 -}}
{{- $own := include "podnet.selectorLabels" $root | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- toYaml (mergeOverwrite (deepCopy $root.Values.commonLabels) (index . 1) $own) -}}
{{- end -}}

{{/* A registry that all charts of a release share takes the place of the one that is part of the repository. */}}
{{- define "podnet.image" -}}
{{- $repository := .Values.image.repository -}}
{{- $registry := .Values.image.registry -}}
{{- with .Values.global.imageRegistry -}}
{{- $registry = . -}}
{{- $repository = regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "" -}}
{{- end -}}
{{- with $registry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* As Kubernetes has them, or names alone, as other charts take them under global. */}}
{{- define "podnet.imagePullSecrets" -}}
{{- $secrets := list -}}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with uniq $secrets -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{- define "podnet.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "podnet.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* The addresses of Server:Urls, with semicolons between them. */}}
{{- define "podnet.urls" -}}
{{- $urls := (.Values.options.Server | default dict).Urls | default "http://*:9969" -}}
{{- if not (kindIs "slice" $urls) -}}
{{- $urls = splitList ";" $urls -}}
{{- end -}}
{{- $trimmed := list -}}
{{- range $urls -}}
{{- $trimmed = append $trimmed (trim . | trimSuffix "/") -}}
{{- end -}}
{{- join ";" $trimmed -}}
{{- end -}}

{{/* The first of them, which probes and scrapes use. */}}
{{- define "podnet.url" -}}
{{- include "podnet.urls" . | splitList ";" | first -}}
{{- end -}}

{{- define "podnet.port" -}}
{{- include "podnet.url" . | regexFind "[0-9]+$" -}}
{{- end -}}

{{/* The port of the first address that listens on the node's loopback interface, where port-forward connects; nothing: none does. */}}
{{- define "podnet.forwardedPort" -}}
{{- $found := "" -}}
{{- range include "podnet.urls" . | splitList ";" -}}
{{- if and (not $found) (regexMatch "^https?://([*+]|0[.]0[.]0[.]0|\\[::\\]|localhost|127[.]0[.]0[.]1|\\[::1\\]):[0-9]+$" .) -}}
{{- $found = regexFind "[0-9]+$" . -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{- define "podnet.scheme" -}}
{{- ternary "https" "http" (or (ne .Values.tls.existingSecret "") (ne (include "podnet.option" (list . "Server" "CertificateFile")) "") (hasPrefix "https:" (include "podnet.url" .))) -}}
{{- end -}}

{{/* Whether the API server is asked with the ServiceAccount's token: "true" or nothing. */}}
{{- define "podnet.usesServiceAccount" -}}
{{- $source := (.Values.options.Identity | default dict).Source | default "auto" -}}
{{- $kubeconfig := (.Values.options.Kubernetes | default dict).Kubeconfig | default "" -}}
{{- if and (ne $source "standalone") (eq $kubeconfig "") -}}
true
{{- end -}}
{{- end -}}

{{- define "podnet.capabilities" -}}
{{- $add := list "BPF" "PERFMON" "NET_ADMIN" -}}
{{- if .Values.capabilities.olderKernels -}}
{{- $add = concat $add (list "SYS_ADMIN" "SYS_RESOURCE") -}}
{{- else if (.Values.options.Bpf | default dict).RunStatistics -}}
{{- $add = append $add "SYS_ADMIN" -}}
{{- end -}}
{{- toYaml $add -}}
{{- end -}}

{{/* An option's value as the program reads it, from the environment and from a file. */}}
{{- define "podnet.text" -}}
{{- $value := . -}}
{{- if kindIs "slice" $value -}}
{{- $parts := list -}}
{{- range $value -}}
{{- $parts = append $parts (include "podnet.text" .) -}}
{{- end -}}
{{- join ";" $parts -}}
{{- else if kindIs "float64" $value -}}
{{- /* Go writes small and large numbers with an exponent, which the program does not read. */ -}}
{{- regexReplaceAll "[.]?0+$" (printf "%.9f" $value) "" -}}
{{- else -}}
{{- toString $value -}}
{{- end -}}
{{- end -}}

{{/* A map of options as JSON in which every value is a text. */}}
{{- define "podnet.json" -}}
{{- $texts := dict -}}
{{- range $key, $value := . -}}
{{- if kindIs "map" $value -}}
{{- $_ := set $texts $key (include "podnet.json" $value | fromJson) -}}
{{- else -}}
{{- $_ := set $texts $key (include "podnet.text" $value) -}}
{{- end -}}
{{- end -}}
{{- toPrettyJson $texts -}}
{{- end -}}

{{/* A map of options as environment variables. Arguments: prefix, map. */}}
{{- define "podnet.environment" -}}
{{- $prefix := index . 0 -}}
{{- range $key, $value := index . 1 }}
{{- $name := printf "%s__%s" $prefix $key }}
{{- if kindIs "map" $value }}
{{- include "podnet.environment" (list $name $value) }}
{{- else }}
- name: {{ $name }}
  value: {{ include "podnet.text" $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where BPF programs and their counts outlive the exporter; nothing: nowhere. */}}
{{- define "podnet.pinDirectory" -}}
{{- dig "Bpf" "PinDirectory" "/sys/fs/bpf/podnet" .Values.options -}}
{{- end -}}

{{/* Whether an exporter that ends can ask for its DaemonSet, and removes its pins where that was deleted: "true", or nothing. */}}
{{- define "podnet.unpins" -}}
{{- if and .Values.rbac.create (include "podnet.usesServiceAccount" .) (include "podnet.pinDirectory" .) -}}
true
{{- end -}}
{{- end -}}

{{/* The Role that lets it ask. */}}
{{- define "podnet.unpinName" -}}
{{ include "podnet.fullname" . | trunc 57 | trimSuffix "-" }}-unpin
{{- end -}}

{{/* An option's value as text, wherever it is set; nothing: it is not set. Arguments: root, section, key. */}}
{{- define "podnet.option" -}}
{{- $section := index . 1 -}}
{{- $key := index . 2 -}}
{{- range $values := list (index . 0).Values.options (index . 0).Values.liveOptions -}}
{{- $options := get $values $section -}}
{{- if and (kindIs "map" $options) (hasKey $options $key) -}}
{{- include "podnet.text" (get $options $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whether flows are counted, for records or for edges: "true", or nothing. Services and nodes are watched then. */}}
{{- define "podnet.countsFlows" -}}
{{- if or (eq (include "podnet.option" (list . "Flows" "Enabled")) "true") (not (has (include "podnet.option" (list . "Edges" "Level")) (list "" "off"))) -}}
true
{{- end -}}
{{- end -}}

{{/* Whether a sink is in use: "true", or nothing. Arguments: root, the sink. */}}
{{- define "podnet.hasSink" -}}
{{- if has (index . 1) (regexFindAll "[a-z]+" (include "podnet.option" (list (index . 0) "Export" "Sinks") | lower) -1) -}}
true
{{- end -}}
{{- end -}}

{{/*
The files that a sink reads from Secrets, as a list: the option that names the file, the file in the sink's directory, the value that names the Secret, the
Secret and the key in it. Arguments: root, the sink.
*/}}
{{- define "podnet.secretFiles" -}}
{{- $secrets := get (index . 0).Values.export (index . 1) -}}
{{- $credentials := $secrets.credentials -}}
{{- $apiKey := get $credentials "apiKeyKey" -}}
{{- $files := list (list "CaFile" "ca.crt" "authority" $secrets.authority.key) -}}
{{- if $apiKey -}}
{{- $files = append $files (list "ApiKeyFile" "api-key" "credentials" $apiKey) -}}
{{- else -}}
{{- $files = concat $files (list (list "UserFile" "user" "credentials" $credentials.userKey) (list "PasswordFile" "password" "credentials" $credentials.passwordKey)) -}}
{{- end -}}
{{- with get $secrets "certificate" -}}
{{- $files = concat $files (list (list "CertificateFile" "tls.crt" "certificate" .certificateKey) (list "KeyFile" "tls.key" "certificate" .privateKeyKey)) -}}
{{- end -}}
{{- $found := list -}}
{{- range $file := $files -}}
{{- with get (get $secrets (index $file 2)) "existingSecret" -}}
{{- $found = append $found (dict "option" (index $file 0) "path" (index $file 1) "value" (index $file 2) "secret" . "key" (index $file 3)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{/* The ports that the sinks in use connect to, as a list. */}}
{{- define "podnet.sinkPorts" -}}
{{- $ports := list -}}
{{- if include "podnet.hasSink" (list . "kafka") -}}
{{- range regexFindAll ":[0-9]+ *([,;]|$)" (include "podnet.option" (list . "Kafka" "Brokers")) -1 -}}
{{- $ports = append $ports (regexFind "[0-9]+" . | int) -}}
{{- end -}}
{{- end -}}
{{- if include "podnet.hasSink" (list . "elasticsearch") -}}
{{- range regexFindAll "https?://[^/,; ]+" (include "podnet.option" (list . "Elasticsearch" "Urls")) -1 -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default (hasPrefix "https:" . | ternary "443" "80") | int) -}}
{{- end -}}
{{- end -}}
{{- toYaml (uniq $ports) -}}
{{- end -}}

{{/* The directory of the sink file; nothing: it is not written, or no path is set. */}}
{{- define "podnet.recordDirectory" -}}
{{- $path := include "podnet.option" (list . "File" "Path") -}}
{{- if and (include "podnet.countsFlows" .) (include "podnet.hasSink" (list . "file")) $path -}}
{{- dir $path -}}
{{- end -}}
{{- end -}}

{{/* Whether the chart mounts it: "true", or nothing where extraVolumeMounts have it, or a directory that it is in. */}}
{{- define "podnet.mountsRecords" -}}
{{- with include "podnet.recordDirectory" . -}}
{{- $directory := . -}}
{{- $isMounted := false -}}
{{- range $.Values.extraVolumeMounts -}}
{{- $isMounted = or $isMounted (hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) (printf "%s/" $directory)) -}}
{{- end -}}
{{- if not $isMounted -}}
true
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Bytes of a size with or without a unit. */}}
{{- define "podnet.bytes" -}}
{{- $size := trim . | lower -}}
{{- $units := dict "kib" 1024 "mib" 1048576 "gib" 1073741824 "" 1 -}}
{{- mul (regexFind "^[0-9]+" $size | int64) (get $units (regexFind "[a-z]+$" $size)) -}}
{{- end -}}

{{/* What flows take beside everything else, in MiB: 0.5 KiB of kernel memory and 1 KiB of the process for each flow, and the records on their way. */}}
{{- define "podnet.flowMemory" -}}
{{- $more := 0 -}}
{{- if include "podnet.countsFlows" . -}}
{{- $more = div (add (mul (include "podnet.option" (list . "Flows" "MaxFlows") | default "32768" | int64) 1536) 1048575) 1048576 -}}
{{- if include "podnet.option" (list . "Export" "Sinks") -}}
{{- $more = add $more (div (include "podnet.bytes" (include "podnet.option" (list . "Export" "MaxMemory") | default "32MiB") | int64) 1048576) -}}
{{- end -}}
{{- end -}}
{{- $more -}}
{{- end -}}

{{/* Requests and limits: memory that is the chart's default has the flows' added, another value is taken as it is. */}}
{{- define "podnet.resources" -}}
{{- $resources := deepCopy (.Values.resources | default dict) -}}
{{- $defaults := (.Files.Get "defaults.yaml" | fromYaml).resources -}}
{{- $more := include "podnet.flowMemory" . | int64 -}}
{{- range $kind := list "requests" "limits" -}}
{{- $own := get $resources $kind -}}
{{- $default := (get $defaults $kind).memory -}}
{{- if and $more (kindIs "map" $own) (eq (get $own "memory" | toString) $default) -}}
{{- $_ := set $own "memory" (printf "%dMi" (add (trimSuffix "Mi" $default | int64) $more)) -}}
{{- end -}}
{{- end -}}
{{- with $resources -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* Whether the options are in a ConfigMap: "true", or nothing where the values name another file, or none. */}}
{{- define "podnet.hasOptionsFile" -}}
{{- if not (hasKey (.Values.options.Options | default dict) "File") -}}
true
{{- end -}}
{{- end -}}

{{/* What the pods of the DaemonSet and of the hook have in common. */}}
{{- define "podnet.pod" -}}
# The pods' interfaces are in the node's network namespace, and only there.
hostNetwork: true
dnsPolicy: {{ .Values.dnsPolicy }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
enableServiceLinks: false
serviceAccountName: {{ include "podnet.serviceAccountName" . }}
{{- with include "podnet.imagePullSecrets" . }}
imagePullSecrets:
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* And their containers. */}}
{{- define "podnet.container" -}}
image: {{ include "podnet.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  privileged: false
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsUser: {{ .Values.runAsUser }}
  capabilities:
    drop:
      - ALL
    add:
      {{- include "podnet.capabilities" . | nindent 6 }}
  {{- with .Values.seccompProfile }}
  seccompProfile:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if include "podnet.hasAppArmorField" . }}
  {{- with include "podnet.appArmorProfile" . | fromYaml }}
  appArmorProfile:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with .Values.seLinuxOptions }}
  seLinuxOptions:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "podnet.bpffsVolume" -}}
{{- if include "podnet.pinDirectory" . -}}
- name: bpffs
  hostPath:
    path: /sys/fs/bpf
    type: Directory
{{- end -}}
{{- end -}}

{{- define "podnet.bpffsMount" -}}
{{- if include "podnet.pinDirectory" . -}}
- name: bpffs
  mountPath: /sys/fs/bpf
{{- end -}}
{{- end -}}

{{- define "podnet.mounts" -}}
{{- with include "podnet.bpffsMount" . }}
{{ . }}
{{- end }}
{{- if include "podnet.hasOptionsFile" . }}
- name: options
  # A directory: a file that is mounted by subPath never changes.
  mountPath: /etc/podnet-exporter/options
  readOnly: true
{{- end }}
{{- if .Values.bpfObjects.existingConfigMap }}
- name: bpf-objects
  mountPath: /etc/podnet-exporter/bpf
  readOnly: true
{{- end }}
{{- if .Values.tls.existingSecret }}
- name: tls
  mountPath: /etc/podnet-exporter/tls
  readOnly: true
{{- end }}
{{- if .Values.auth.existingSecret }}
- name: auth
  mountPath: /etc/podnet-exporter/auth
  readOnly: true
{{- end }}
{{- range $sink := list "kafka" "elasticsearch" }}
{{- if include "podnet.secretFiles" (list $ $sink) | fromYamlArray }}
- name: {{ $sink }}
  mountPath: /etc/podnet-exporter/{{ $sink }}
  readOnly: true
{{- end }}
{{- end }}
{{- if include "podnet.mountsRecords" . }}
- name: records
  mountPath: {{ include "podnet.recordDirectory" . }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "podnet.volumes" -}}
{{- with include "podnet.bpffsVolume" . }}
{{ . }}
{{- end }}
{{- if include "podnet.hasOptionsFile" . }}
- name: options
  configMap:
    name: {{ include "podnet.fullname" . }}-options
{{- end }}
{{- with .Values.bpfObjects.existingConfigMap }}
- name: bpf-objects
  configMap:
    name: {{ . }}
{{- end }}
{{- with .Values.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . }}
{{- end }}
{{- with .Values.auth.existingSecret }}
- name: auth
  secret:
    secretName: {{ . }}
{{- end }}
{{- range $sink := list "kafka" "elasticsearch" }}
{{- with include "podnet.secretFiles" (list $ $sink) | fromYamlArray }}
- name: {{ $sink }}
  projected:
    sources:
      {{- range . }}
      - secret:
          name: {{ .secret }}
          items: [{key: {{ quote .key }}, path: {{ .path }}}]
      {{- end }}
{{- end }}
{{- end }}
{{- if include "podnet.mountsRecords" . }}
- name: records
  {{- if .Values.records.hostPath }}
  hostPath:
    path: {{ .Values.records.hostPath }}
    type: DirectoryOrCreate
  {{- else }}
  emptyDir: {{ .Values.records.sizeLimit | empty | ternary dict (dict "sizeLimit" .Values.records.sizeLimit) | toJson }}
  {{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "podnet.appArmorProfile" -}}
{{- $default := dict -}}
{{- if include "podnet.pinDirectory" . -}}
{{- $default = dict "type" "Unconfined" -}}
{{- end -}}
{{- toYaml (.Values.appArmorProfile | default $default) -}}
{{- end -}}

{{/* Before Kubernetes 1.30 it is an annotation of the pod. */}}
{{- define "podnet.hasAppArmorField" -}}
{{- if semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version -}}
true
{{- end -}}
{{- end -}}

{{/* Arguments: root, the container's name. */}}
{{- define "podnet.appArmorAnnotation" -}}
{{- $root := index . 0 -}}
{{- $profile := include "podnet.appArmorProfile" $root | fromYaml -}}
{{- if and $profile (not (include "podnet.hasAppArmorField" $root)) -}}
{{- $words := dict "Unconfined" "unconfined" "RuntimeDefault" "runtime/default" "Localhost" (printf "localhost/%s" $profile.localhostProfile) -}}
container.apparmor.security.beta.kubernetes.io/{{ index . 1 }}: {{ get $words $profile.type | quote }}
{{- end -}}
{{- end -}}

{{/* On how many nodes the hook runs; 0: there is none, or no API server to ask how many there are. */}}
{{- define "podnet.uninstallNodes" -}}
{{- $count := 0 -}}
{{- if not (and .Values.uninstall.enabled (include "podnet.pinDirectory" .)) -}}
{{- else if .Values.uninstall.nodes -}}
{{- $count = int .Values.uninstall.nodes -}}
{{- else -}}
{{- range (lookup "v1" "Node" "" "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- $isChosen := true -}}
{{- range $key, $value := $.Values.nodeSelector -}}
{{- $isChosen = and $isChosen (eq (get $labels $key) $value) -}}
{{- end -}}
{{- $count = add $count (ternary 1 0 $isChosen) -}}
{{- end -}}
{{- end -}}
{{- $count -}}
{{- end -}}

{{/* The Service and the monitors do not select the hook's pods. */}}
{{- define "podnet.uninstallName" -}}
{{- include "podnet.name" . | trunc 53 | trimSuffix "-" }}-uninstall
{{- end -}}

{{- define "podnet.probe" -}}
{{- $host := include "podnet.url" .root | regexFind "//(localhost|127[.][0-9.]+|\\[::1\\])" | trimPrefix "//" | trimAll "[]" -}}
httpGet:
  path: {{ .path }}
  port: metrics
  scheme: {{ include "podnet.scheme" .root | upper }}
  {{- with $host }}
  host: {{ quote . }}
  {{- end }}
{{ toYaml .probe }}
{{- end -}}

{{/* Limits and labels of a monitor, beside its endpoint. */}}
{{- define "podnet.monitor" -}}
{{- with .jobLabel }}
jobLabel: {{ . }}
{{- end }}
{{- with .podTargetLabels }}
podTargetLabels:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .attachMetadata }}
attachMetadata:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .scrapeProtocols }}
scrapeProtocols:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $monitor := . }}
{{- range list "sampleLimit" "targetLimit" "labelLimit" "labelNameLengthLimit" "labelValueLengthLimit" }}
{{- if get $monitor . }}
{{ . }}: {{ get $monitor . | int }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What a monitor's endpoint is asked with. Arguments: root, monitor. */}}
{{- define "podnet.endpoint" -}}
{{- $root := .root -}}
port: metrics
path: /metrics
scheme: {{ include "podnet.scheme" $root }}
# The labels namespace and pod name the measured pod.
honorLabels: true
{{- with .monitor.interval }}
interval: {{ . }}
{{- end }}
{{- with .monitor.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- if eq (include "podnet.scheme" $root) "https" }}
{{- $tls := dict "insecureSkipVerify" $root.Values.tls.insecureSkipVerify }}
{{- with $root.Values.tls.serverName }}
{{- $_ := set $tls "serverName" . }}
{{- end }}
{{- if and $root.Values.tls.existingSecret $root.Values.tls.authorityKey }}
{{- $_ := set $tls "ca" (dict "secret" (dict "name" $root.Values.tls.existingSecret "key" $root.Values.tls.authorityKey)) }}
{{- end }}
tlsConfig:
  {{- mergeOverwrite $tls .monitor.tlsConfig | toYaml | nindent 2 }}
{{- end }}
{{- if $root.Values.auth.bearerTokenKey }}
authorization:
  type: Bearer
  credentials:
    name: {{ $root.Values.auth.existingSecret }}
    key: {{ $root.Values.auth.bearerTokenKey }}
{{- else if $root.Values.auth.basicAuthKey }}
basicAuth:
  username:
    name: {{ $root.Values.auth.existingSecret }}
    key: {{ $root.Values.auth.usernameKey }}
  password:
    name: {{ $root.Values.auth.existingSecret }}
    key: {{ $root.Values.auth.passwordKey }}
{{- end }}
{{- with .monitor.proxyUrl }}
proxyUrl: {{ . }}
{{- end }}
{{- with .monitor.params }}
params:
  {{- toYaml . | nindent 2 }}
{{- end }}
relabelings:
  # Of the exporter's own pod nothing may be left: a measured series that has no such label, as series of a workload have none named pod, would get
  # it from here. The node stays, as node and as instance, and the job is the same whatever the release is called.
  - action: labeldrop
    regex: container|endpoint|namespace|pod|service
  - sourceLabels: [__meta_kubernetes_pod_node_name]
    targetLabel: node
  - sourceLabels: [__meta_kubernetes_pod_node_name]
    targetLabel: instance
  {{- if not .monitor.jobLabel }}
  - targetLabel: job
    replacement: podnet-exporter
  {{- end }}
  {{- with .monitor.relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
