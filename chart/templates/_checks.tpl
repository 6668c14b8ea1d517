{{/* Seconds of [days.]hours:minutes[:seconds], in ten-millionths of one, as .NET counts. */}}
{{- define "podnet.ticks" -}}
{{- $parts := regexReplaceAll "^(?:([0-9]+)[.])?([0-9]+):([0-9]+)(?::([0-9]+)(?:[.]([0-9]+))?)?$" . "${1} ${2} ${3} ${4} ${5}0000000" | splitList " " -}}
{{- $seconds := add (mul (index $parts 0 | atoi) 86400) (mul (index $parts 1 | atoi) 3600) (mul (index $parts 2 | atoi) 60) (index $parts 3 | atoi) -}}
{{- add (mul $seconds 10000000) (index $parts 4 | trunc 7 | atoi) -}}
{{- end -}}

{{/* What values.schema.json cannot say. */}}
{{- define "podnet.check" -}}
{{- $ranges := (.Files.Get "options.yaml" | fromYaml).durations -}}
{{- range $name := list "options" "liveOptions" -}}
{{- range $key, $range := $ranges -}}
{{- $path := splitList "." $key -}}
{{- $value := index (index (get $.Values $name) (first $path) | default dict) (last $path) -}}
{{- if $value -}}
{{- $ticks := include "podnet.ticks" $value | int64 -}}
{{- if or (lt $ticks (include "podnet.ticks" (first $range) | int64)) (gt $ticks (include "podnet.ticks" (last $range) | int64)) -}}
{{- fail (printf "%s.%s: '%s' is out of range; it can be from %s to %s" $name $key $value (first $range) (last $range)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.liveOptions (not (include "podnet.hasOptionsFile" .)) -}}
{{- fail "options.Options.File: has another file than liveOptions; leave one of the two out" -}}
{{- end -}}
{{- range list "Server" "Kubernetes" "Bpf" "Options" -}}
{{- if hasKey $.Values.liveOptions . -}}
{{- fail (printf "liveOptions.%s: the pods are made by it; set options.%s" . .) -}}
{{- end -}}
{{- end -}}
{{- if hasKey (.Values.liveOptions.Identity | default dict) "Source" -}}
{{- fail "liveOptions.Identity.Source: the pods are made by it; set options.Identity.Source" -}}
{{- end -}}
{{- $fixed := list -}}
{{- range include "podnet.environment" (list "" .Values.options) | fromYamlArray -}}
{{- $fixed = append $fixed .name -}}
{{- end -}}
{{- range include "podnet.environment" (list "" .Values.liveOptions) | fromYamlArray -}}
{{- if has .name $fixed -}}
{{- fail (printf "liveOptions%s: is in options as well, which would win; leave one of the two out" (replace "__" "." .name)) -}}
{{- end -}}
{{- end -}}
{{- $named := regexMatch "(^|;) *pods *=" (include "podnet.option" (list . "Edges" "Classes")) -}}
{{- if and (include "podnet.countsFlows" .) (not $named) (include "podnet.hasOptionsFile" .) (not (contains "Edges:Classes" (toJson .Values.extraArgs))) -}}
{{- fail "options.Edges.Classes: does not say which addresses pods have, which flows and edges need; add the cluster's pod networks, as in pods=10.244.0.0/16" -}}
{{- end -}}
{{- if and (include "podnet.hasSinkFile" .) (not (include "podnet.option" (list . "File" "Path"))) (include "podnet.hasOptionsFile" .) (not (contains "File:Path" (toJson .Values.extraArgs))) -}}
{{- fail "options.Export.Sinks: has file, and options.File.Path is not set; set it to a path in a directory of its own, as in /var/lib/podnet/flows.json" -}}
{{- end -}}
{{- if has (include "podnet.recordDirectory" .) (list "/" "/etc" "/usr" "/usr/bin" "/proc" "/sys" "/dev" "/etc/podnet-exporter") -}}
{{- fail "options.File.Path: its directory is mounted, and has others' files; choose a directory of its own, as in /var/lib/podnet/flows.json" -}}
{{- end -}}
{{- $pins := include "podnet.pinDirectory" . -}}
{{- if and $pins (not (hasPrefix "/sys/fs/bpf/" $pins)) -}}
{{- fail "options.Bpf.PinDirectory: has to be below /sys/fs/bpf, which the chart mounts, or empty" -}}
{{- end -}}
{{- if and .Values.bpfObjects.existingConfigMap (hasKey (.Values.options.Bpf | default dict) "ObjectDirectory") -}}
{{- fail "options.Bpf.ObjectDirectory: bpfObjects.existingConfigMap sets it; remove one of the two" -}}
{{- end -}}
{{- $urls := (.Values.options.Server | default dict).Urls | default list | toJson -}}
{{- if and .Values.tls.existingSecret (contains "http://" $urls) -}}
{{- fail "options.Server.Urls: has http, and there is a certificate; write https" -}}
{{- end -}}
{{- if and (not .Values.tls.existingSecret) (contains "https://" $urls) -}}
{{- fail "options.Server.Urls: has https, and there is no certificate; set tls.existingSecret" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.service.enabled) -}}
{{- fail "serviceMonitor.enabled: a ServiceMonitor needs the Service; set service.enabled as well, or use podMonitor.enabled" -}}
{{- end -}}
{{- if and .Values.auth.existingSecret (not .Values.auth.bearerTokenKey) (not .Values.auth.basicAuthKey) -}}
{{- fail "auth.existingSecret: name its key with auth.bearerTokenKey or auth.basicAuthKey" -}}
{{- end -}}
{{- if and (or .Values.auth.bearerTokenKey .Values.auth.basicAuthKey) (not .Values.auth.existingSecret) -}}
{{- fail "auth.bearerTokenKey, auth.basicAuthKey: set auth.existingSecret, the Secret that has the key" -}}
{{- end -}}
{{- $monitors := false -}}
{{- range list .Values.podMonitor .Values.serviceMonitor -}}
{{- if and .enabled .namespace (ne .namespace (include "podnet.namespace" $)) (or $.Values.auth.existingSecret (and $.Values.tls.existingSecret $.Values.tls.authorityKey)) -}}
{{- $monitors = true -}}
{{- end -}}
{{- end -}}
{{- if $monitors -}}
{{- fail "podMonitor.namespace, serviceMonitor.namespace: a monitor finds the Secrets of tls and auth in its own namespace only; leave it empty" -}}
{{- end -}}
{{- end -}}
