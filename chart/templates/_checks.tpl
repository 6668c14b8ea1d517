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
{{- include "podnet.checkSinks" . -}}
{{- $named := regexMatch "(^|;) *pods *=" (include "podnet.option" (list . "Edges" "Classes")) -}}
{{- if and (include "podnet.countsFlows" .) (not $named) (not (include "podnet.mayBeElsewhere" (list . "Edges:Classes"))) -}}
{{- fail "options.Edges.Classes: does not say which addresses pods have, which flows and edges need; add the cluster's pod networks, as in pods=10.244.0.0/16" -}}
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
{{- $certificate := or .Values.tls.existingSecret (include "podnet.option" (list . "Server" "CertificateFile")) -}}
{{- if and $certificate (contains "http://" $urls) -}}
{{- fail "options.Server.Urls: has http, and there is a certificate; write https" -}}
{{- end -}}
{{- if and (not $certificate) (contains "https://" $urls) -}}
{{- fail "options.Server.Urls: has https, and there is no certificate; set tls.existingSecret" -}}
{{- end -}}
{{- range list (list "CertificateFile" "tls.existingSecret" .Values.tls.existingSecret) (list "KeyFile" "tls.existingSecret" .Values.tls.existingSecret) (list "BearerTokenFile" "auth.bearerTokenKey" .Values.auth.bearerTokenKey) (list "BasicAuthFile" "auth.basicAuthKey" .Values.auth.basicAuthKey) -}}
{{- if and (index . 2) (include "podnet.option" (list $ "Server" (index . 0))) -}}
{{- fail (printf "options.Server.%s: %s sets it; remove one of the two" (index . 0) (index . 1)) -}}
{{- end -}}
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

{{/* Whether an option can be set where the chart does not see it: "true", or nothing. Arguments: root, the option as the program has it. */}}
{{- define "podnet.mayBeElsewhere" -}}
{{- if or (not (include "podnet.hasOptionsFile" (index . 0))) (contains (index . 1) (toJson (index . 0).Values.extraArgs)) -}}
true
{{- end -}}
{{- end -}}

{{/* Each sink in use needs an address, and Secrets have to fit it. */}}
{{- define "podnet.checkSinks" -}}
{{- $addresses := dict
  "file" (list "File" "Path" "a path in a directory of its own, as in /var/lib/podnet/flows.json")
  "kafka" (list "Kafka" "Brokers" "the brokers' addresses, as in kafka-0.kafka:9092")
  "elasticsearch" (list "Elasticsearch" "Urls" "the servers' addresses, as in https://elasticsearch:9200") -}}
{{- range $sink, $address := $addresses -}}
{{- $section := first $address -}}
{{- $key := index $address 1 -}}
{{- if and (include "podnet.hasSink" (list $ $sink)) (not (include "podnet.option" (list $ $section $key))) (not (include "podnet.mayBeElsewhere" (list $ (printf "%s:%s" $section $key)))) -}}
{{- fail (printf "options.Export.Sinks: has %s, and options.%s.%s is not set; set it to %s" $sink $section $key (last $address)) -}}
{{- end -}}
{{- end -}}
{{- range $sink := list "kafka" "elasticsearch" -}}
{{- $files := include "podnet.secretFiles" (list $ $sink) | fromYamlArray -}}
{{- if and $files (not (include "podnet.hasSink" (list $ $sink))) (not (include "podnet.mayBeElsewhere" (list $ "Export:Sinks"))) -}}
{{- fail (printf "export.%s: names a Secret, and options.Export.Sinks does not have %s; add it there, or remove the Secret here" $sink $sink) -}}
{{- end -}}
{{- range $files -}}
{{- if include "podnet.option" (list $ (title $sink) .option) -}}
{{- fail (printf "options.%s.%s: export.%s.%s.existingSecret sets it; remove one of the two" (title $sink) .option $sink .value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (include "podnet.mayBeElsewhere" (list . "Kafka:Security")) -}}
{{- $secrets := .Values.export.kafka -}}
{{- $security := include "podnet.option" (list . "Kafka" "Security") | default "plaintext" -}}
{{- if and (or $secrets.certificate.existingSecret $secrets.authority.existingSecret) (not (has $security (list "tls" "sasl-tls"))) -}}
{{- fail (printf "options.Kafka.Security: is %s, and export.kafka.certificate and export.kafka.authority are for TLS; set it to tls or sasl-tls, or remove the Secrets" $security) -}}
{{- end -}}
{{- $hasUser := or $secrets.credentials.existingSecret (include "podnet.option" (list . "Kafka" "UserFile")) (include "podnet.mayBeElsewhere" (list . "Kafka:UserFile")) -}}
{{- $hasToken := eq (include "podnet.option" (list . "Kafka" "SaslMechanism")) "OAUTHBEARER" -}}
{{- if and (include "podnet.hasSink" (list . "kafka")) (hasPrefix "sasl-" $security) (not $hasUser) (not $hasToken) -}}
{{- fail (printf "options.Kafka.Security: is %s, which needs a user and a password; set export.kafka.credentials.existingSecret" $security) -}}
{{- end -}}
{{- if and $secrets.credentials.existingSecret (not (hasPrefix "sasl-" $security)) -}}
{{- fail (printf "options.Kafka.Security: is %s, and export.kafka.credentials is for SASL; set it to sasl-tls or sasl-plaintext, or remove the Secret" $security) -}}
{{- end -}}
{{- end -}}
{{- $urls := include "podnet.option" (list . "Elasticsearch" "Urls") -}}
{{- if and .Values.export.elasticsearch.authority.existingSecret $urls (not (contains "https://" $urls)) -}}
{{- fail "options.Elasticsearch.Urls: has no address of https, and export.elasticsearch.authority is for HTTPS; write https there, or remove the Secret" -}}
{{- end -}}
{{- end -}}
