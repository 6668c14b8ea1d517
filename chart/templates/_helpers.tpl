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

{{/* The chart's own labels win over those of the values. */}}
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

{{- define "podnet.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "podnet.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "podnet.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* The first address of Server:Urls, which probes and scrapes use. */}}
{{- define "podnet.url" -}}
{{- $urls := (.Values.options.Server | default dict).Urls | default "http://*:9969" -}}
{{- if not (kindIs "slice" $urls) -}}
{{- $urls = splitList ";" $urls -}}
{{- end -}}
{{- first $urls | trim | trimSuffix "/" -}}
{{- end -}}

{{- define "podnet.port" -}}
{{- include "podnet.url" . | regexFind "[0-9]+$" -}}
{{- end -}}

{{- define "podnet.scheme" -}}
{{- ternary "https" "http" (or (ne .Values.tls.existingSecret "") (hasPrefix "https:" (include "podnet.url" .))) -}}
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

{{/* Go writes small and large numbers with an exponent, which the program does not read. */}}
{{- define "podnet.text" -}}
{{- if kindIs "float64" . -}}
{{- regexReplaceAll "[.]?0+$" (printf "%.9f" .) "" -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* An option's value as the program reads it. Arguments: key, value. */}}
{{- define "podnet.value" -}}
{{- $key := index . 0 -}}
{{- $value := index . 1 -}}
{{- if kindIs "slice" $value -}}
{{- $parts := list -}}
{{- range $value -}}
{{- $parts = append $parts (include "podnet.text" .) -}}
{{- end -}}
{{- join ";" $parts -}}
{{- else if and (has $key (list "Hook" "Segments" "Sizes" "Handshakes")) (kindIs "bool" $value) -}}
{{- /* What YAML makes of a bare off. */ -}}
off
{{- else -}}
{{- include "podnet.text" $value -}}
{{- end -}}
{{- end -}}

{{/* A map of options as the JSON of a file. */}}
{{- define "podnet.optionsFile" -}}
{{- $sections := dict -}}
{{- range $section, $options := . -}}
{{- $texts := dict -}}
{{- range $key, $value := $options -}}
{{- if kindIs "map" $value -}}
{{- $_ := set $texts $key $value -}}
{{- else -}}
{{- $_ := set $texts $key (include "podnet.value" (list $key $value)) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $sections $section $texts -}}
{{- end -}}
{{- toPrettyJson $sections -}}
{{- end -}}

{{/* Where the nodes' BPF file system has what outlives a pod; nothing where that is off. */}}
{{- define "podnet.pins" -}}
{{- $bpf := .Values.options.Bpf | default dict -}}
{{- if hasKey $bpf "PinDirectory" -}}
{{- $bpf.PinDirectory -}}
{{- else -}}
/sys/fs/bpf/podnet
{{- end -}}
{{- end -}}

{{- define "podnet.bpfMount" -}}
- name: bpf
  mountPath: /sys/fs/bpf
  # One that is mounted later is seen, too.
  mountPropagation: HostToContainer
{{- end -}}

{{- define "podnet.bpfVolume" -}}
- name: bpf
  hostPath:
    path: /sys/fs/bpf
    type: Directory
{{- end -}}

{{- define "podnet.securityContext" -}}
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsUser: {{ .Values.runAsUser }}
capabilities:
  drop:
    - ALL
  add:
    {{- include "podnet.capabilities" . | nindent 4 }}
seccompProfile:
  {{- toYaml .Values.seccompProfile | nindent 2 }}
{{- with .Values.seLinuxOptions }}
seLinuxOptions:
  {{- toYaml . | nindent 2 }}
{{- end }}
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
  value: {{ include "podnet.value" (list $key $value) | quote }}
{{- end }}
{{- end }}
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

{{/* What a monitor's endpoint is asked with. Arguments: root, monitor. */}}
{{- define "podnet.endpoint" -}}
{{- $root := .root -}}
port: metrics
path: /metrics
scheme: {{ include "podnet.scheme" $root }}
# The labels namespace and pod are those of the measured pod.
honorLabels: true
{{- with .monitor.interval }}
interval: {{ . }}
{{- end }}
{{- with .monitor.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- if eq (include "podnet.scheme" $root) "https" }}
tlsConfig:
  insecureSkipVerify: {{ $root.Values.tls.insecureSkipVerify }}
  {{- with $root.Values.tls.serverName }}
  serverName: {{ . }}
  {{- end }}
  {{- if and $root.Values.tls.existingSecret $root.Values.tls.authorityKey }}
  ca:
    secret:
      name: {{ $root.Values.tls.existingSecret }}
      key: {{ $root.Values.tls.authorityKey }}
  {{- end }}
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
{{- with .monitor.relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
