using System.Text.Json.Nodes;
using Exporter.Chart.Tests.Support;
using static Exporter.Chart.Tests.Support.Json;

namespace Exporter.Chart.Tests;

/// <summary>What each value switches.</summary>
public sealed class ValuesTests
{
    [Fact]
    public void By_default_there_are_a_DaemonSet_its_account_its_roles_its_options_and_a_headless_Service()
    {
        var manifest = Helm.RenderWith();

        Assert.Equal(["ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet", "Role", "RoleBinding", "Service", "ServiceAccount"], manifest.Kinds);
        Assert.Equal("None", (string?)manifest["Service"]["spec"]!["clusterIP"]);
        Assert.Equal(["PODNET__Options__File"], manifest.Environment.Keys);
    }

    [Fact]
    public void The_container_has_no_privileges_but_three_capabilities()
    {
        var manifest = Helm.RenderWith();

        AssertJson(
            """
            {"privileged": false, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsUser": 0,
             "capabilities": {"drop": ["ALL"], "add": ["BPF", "PERFMON", "NET_ADMIN"]}, "seccompProfile": {"type": "RuntimeDefault"},
             "appArmorProfile": {"type": "Unconfined"}}
            """,
            manifest.SecurityContext);
        Assert.True((bool?)manifest.PodSpec["hostNetwork"]);
        Assert.Null(manifest.PodSpec["hostPID"]);
    }

    [Theory]
    [InlineData("BPF PERFMON NET_ADMIN SYS_ADMIN SYS_RESOURCE", "capabilities.olderKernels=true")]
    [InlineData("BPF PERFMON NET_ADMIN SYS_ADMIN", "options.Bpf.RunStatistics=true")]
    [InlineData("BPF PERFMON NET_ADMIN", "options.Bpf.RunStatistics=false")]
    [InlineData("BPF PERFMON NET_ADMIN SYS_ADMIN SYS_RESOURCE", "options.Bpf.RunStatistics=true", "capabilities.olderKernels=true")]
    public void Capabilities_are_what_the_kernels_and_the_options_need(string capabilities, params string[] values) =>
        Assert.Equal(capabilities.Split(' '), Helm.RenderWith(values).AddedCapabilities);

    [Fact]
    public void The_role_is_for_reading_pods_and_nothing_else() =>
        AssertJson("""[{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]""", Helm.RenderWith()["ClusterRole"]["rules"]!);

    [Theory]
    [InlineData(true)]
    [InlineData(true, "options.Identity.Source=kubernetes")]
    [InlineData(false, "options.Identity.Source=standalone")]
    [InlineData(false, "options.Kubernetes.Kubeconfig=/etc/kubeconfig")]
    public void The_token_is_mounted_and_has_a_role_where_it_is_used(bool isUsed, params string[] values)
    {
        var manifest = Helm.RenderWith(values);

        Assert.Equal(isUsed, (bool?)manifest.PodSpec["automountServiceAccountToken"]);
        Assert.Equal(isUsed, manifest.Kinds.Contains("ClusterRole"));
        Assert.Equal(isUsed, manifest.Kinds.Contains("ClusterRoleBinding"));
        Assert.False((bool?)manifest["ServiceAccount"]["automountServiceAccountToken"]);
    }

    [Theory]
    [InlineData("r-podnet-exporter", true)]
    [InlineData("mine", true, "serviceAccount.name=mine")]
    [InlineData("mine", false, "serviceAccount.name=mine", "serviceAccount.create=false")]
    [InlineData("default", false, "serviceAccount.create=false")]
    public void The_account_is_made_or_there(string name, bool isMade, params string[] values)
    {
        var manifest = Helm.RenderWith(values);

        Assert.Equal(name, (string?)manifest.PodSpec["serviceAccountName"]);
        Assert.Equal(name, (string?)manifest["ClusterRoleBinding"]["subjects"]![0]!["name"]);
        Assert.Equal(isMade, manifest.Kinds.Contains("ServiceAccount"));
    }

    [Fact]
    public void Without_rbac_there_is_no_role() =>
        Assert.Equal(["ConfigMap", "DaemonSet", "Service", "ServiceAccount"], Helm.RenderWith("rbac.create=false").Kinds);

    [Fact]
    public void The_names_of_node_and_pod_and_the_address_come_from_the_downward_API()
    {
        var fields = Helm.RenderWith().Container["env"]!.AsArray().Where(variable => variable!["valueFrom"] is not null)
            .ToDictionary(variable => (string)variable!["name"]!, variable => (string?)variable!["valueFrom"]!["fieldRef"]!["fieldPath"]);

        Assert.Equal(
            new Dictionary<string, string?> { ["NODE_NAME"] = "spec.nodeName", ["POD_UID"] = "metadata.uid", ["NODE_IP"] = "status.hostIP" }, fields);
    }

    [Fact]
    public void The_node_s_address_is_there_before_what_refers_to_it()
    {
        var names = Helm.RenderWith("options.Server.Urls=http://$(NODE_IP):9969").Container["env"]!.AsArray().Select(variable => (string)variable!["name"]!).ToList();

        Assert.True(names.IndexOf("NODE_IP") < names.IndexOf("PODNET__Server__Urls"));
    }

    [Theory]
    [InlineData(9969, null)]
    [InlineData(9970, null, "options.Server.Urls=http://*:9970")]
    [InlineData(9971, "127.0.0.1", "options.Server.Urls=http://127.0.0.1:9971/;http://*:1")]
    [InlineData(9972, "localhost", "options.Server.Urls={http://localhost:9972,http://*:1}")]
    [InlineData(9973, "::1", "options.Server.Urls=http://[::1]:9973")]
    [InlineData(9974, null, "options.Server.Urls=http://$(NODE_IP):9974")]
    public void The_port_is_where_the_program_listens_and_is_asked(int port, string? host, params string[] values)
    {
        var manifest = Helm.RenderWith([.. values, "scrapeAnnotations=true"]);

        AssertJson($$"""[{"name": "metrics", "containerPort": {{port}}, "hostPort": {{port}}, "protocol": "TCP"}]""", manifest.Container["ports"]!);
        Assert.Equal(port, (int?)manifest["Service"]["spec"]!["ports"]![0]!["port"]);
        Assert.Equal($"{port}", (string?)manifest.Pod["metadata"]!["annotations"]!["prometheus.io/port"]);
        foreach (var probe in new[] { "startupProbe", "livenessProbe", "readinessProbe" })
        {
            Assert.Equal("metrics", (string?)manifest.Container[probe]!["httpGet"]!["port"]);
            Assert.Equal(host, (string?)manifest.Container[probe]!["httpGet"]!["host"]);
        }
    }

    [Fact]
    public void Probes_ask_for_health_to_live_and_for_readiness_to_be_ready()
    {
        var container = Helm.RenderWith("livenessProbe.periodSeconds=7", "readinessProbe.timeoutSeconds=3", "startupProbe.failureThreshold=9").Container;

        AssertJson("""{"httpGet": {"path": "/healthz", "port": "metrics", "scheme": "HTTP"}, "periodSeconds": 7, "timeoutSeconds": 5, "failureThreshold": 6}""", container["livenessProbe"]!);
        AssertJson("""{"httpGet": {"path": "/readyz", "port": "metrics", "scheme": "HTTP"}, "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 3}""", container["readinessProbe"]!);
        AssertJson("""{"httpGet": {"path": "/healthz", "port": "metrics", "scheme": "HTTP"}, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 9}""", container["startupProbe"]!);
    }

    /// <summary>As one that a CSI driver mounts.</summary>
    [Theory]
    [InlineData]
    [InlineData("options.Server.Urls=https://*:9969")]
    public void A_certificate_in_a_file_makes_everything_HTTPS(params string[] more)
    {
        string[] values = ["options.Server.CertificateFile=/certs/tls.crt", "options.Server.KeyFile=/certs/tls.key", "podMonitor.enabled=true", "serviceMonitor.enabled=true", "scrapeAnnotations=true"];
        var manifest = Helm.RenderWith([.. values, .. more]);

        foreach (var probe in new[] { "startupProbe", "livenessProbe", "readinessProbe" })
        {
            Assert.Equal("HTTPS", (string?)manifest.Container[probe]!["httpGet"]!["scheme"]);
        }
        Assert.Equal("https", (string?)manifest.Pod["metadata"]!["annotations"]!["prometheus.io/scheme"]);
        Assert.All(Endpoints(manifest), endpoint => Assert.Equal("https", (string?)endpoint["scheme"]));
    }

    [Fact]
    public void A_certificate_makes_everything_HTTPS()
    {
        var manifest = Helm.RenderWith("tls.existingSecret=cert", "tls.privateKeyKey=key.pem", "tls.serverName=podnet", "podMonitor.enabled=true", "serviceMonitor.enabled=true", "scrapeAnnotations=true");

        Assert.Equal("/etc/podnet-exporter/tls/tls.crt", manifest.Environment["PODNET__Server__CertificateFile"]);
        Assert.Equal("/etc/podnet-exporter/tls/key.pem", manifest.Environment["PODNET__Server__KeyFile"]);
        AssertJson("""{"name": "tls", "secret": {"secretName": "cert"}}""", manifest.Volume("tls")!);
        AssertJson("""{"name": "tls", "mountPath": "/etc/podnet-exporter/tls", "readOnly": true}""", manifest.Mount("tls")!);
        foreach (var probe in new[] { "startupProbe", "livenessProbe", "readinessProbe" })
        {
            Assert.Equal("HTTPS", (string?)manifest.Container[probe]!["httpGet"]!["scheme"]);
        }
        Assert.Equal("https", (string?)manifest.Pod["metadata"]!["annotations"]!["prometheus.io/scheme"]);
        foreach (var endpoint in Endpoints(manifest))
        {
            Assert.Equal("https", (string?)endpoint["scheme"]);
            AssertJson("""{"insecureSkipVerify": false, "serverName": "podnet", "ca": {"secret": {"name": "cert", "key": "ca.crt"}}}""", endpoint["tlsConfig"]!);
        }
    }

    [Fact]
    public void A_token_is_asked_for_and_the_monitors_have_it()
    {
        var manifest = Helm.RenderWith("auth.existingSecret=access", "auth.bearerTokenKey=token", "podMonitor.enabled=true", "serviceMonitor.enabled=true");

        Assert.Equal("/etc/podnet-exporter/auth/token", manifest.Environment["PODNET__Server__BearerTokenFile"]);
        Assert.DoesNotContain("PODNET__Server__BasicAuthFile", manifest.Environment.Keys);
        AssertJson("""{"name": "auth", "secret": {"secretName": "access"}}""", manifest.Volume("auth")!);
        AssertJson("""{"name": "auth", "mountPath": "/etc/podnet-exporter/auth", "readOnly": true}""", manifest.Mount("auth")!);
        foreach (var endpoint in Endpoints(manifest))
        {
            AssertJson("""{"type": "Bearer", "credentials": {"name": "access", "key": "token"}}""", endpoint["authorization"]!);
            Assert.Null(endpoint["basicAuth"]);
        }
    }

    [Fact]
    public void A_password_is_asked_for_and_the_monitors_have_it()
    {
        var manifest = Helm.RenderWith("auth.existingSecret=access", "auth.basicAuthKey=userinfo", "auth.usernameKey=u", "podMonitor.enabled=true", "serviceMonitor.enabled=true");

        Assert.Equal("/etc/podnet-exporter/auth/userinfo", manifest.Environment["PODNET__Server__BasicAuthFile"]);
        Assert.DoesNotContain("PODNET__Server__BearerTokenFile", manifest.Environment.Keys);
        foreach (var endpoint in Endpoints(manifest))
        {
            AssertJson("""{"username": {"name": "access", "key": "u"}, "password": {"name": "access", "key": "password"}}""", endpoint["basicAuth"]!);
            Assert.Null(endpoint["authorization"]);
        }
    }

    [Theory]
    [InlineData("podMonitor", "PodMonitor")]
    [InlineData("serviceMonitor", "ServiceMonitor")]
    public void A_monitor_lets_the_measured_pod_s_labels_win(string value, string kind)
    {
        var manifest = Helm.RenderWith($"{value}.enabled=true", $"{value}.labels.release=p", $"{value}.interval=15s", $"{value}.scrapeTimeout=10s", $"{value}.namespace=prom", $"{value}.metricRelabelings[0].action=drop");

        Assert.Equal(1, manifest.Kinds.Count(found => found.EndsWith("Monitor", StringComparison.Ordinal)));
        var monitor = manifest[kind];
        Assert.Equal(("prom", "p"), ((string?)monitor["metadata"]!["namespace"], (string?)monitor["metadata"]!["labels"]!["release"]));
        AssertJson($$"""{"matchNames": ["{{Helm.Namespace}}"]}""", monitor["spec"]!["namespaceSelector"]!);
        AssertJson(
            """
            {"port": "metrics", "path": "/metrics", "scheme": "http", "honorLabels": true, "interval": "15s", "scrapeTimeout": "10s",
             "relabelings": [
               {"action": "labeldrop", "regex": "container|endpoint|namespace|pod|service"},
               {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"},
               {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "instance"},
               {"targetLabel": "job", "replacement": "podnet-exporter"}],
             "metricRelabelings": [{"action": "drop"}]}
            """,
            Assert.Single(Endpoints(manifest)));
    }

    [Theory]
    [InlineData("podMonitor", "PodMonitor")]
    [InlineData("serviceMonitor", "ServiceMonitor")]
    public void A_monitor_has_the_fields_of_its_values(string value, string kind)
    {
        string[] values =
        [
            "enabled=true", "annotations.a=b", "jobLabel=app", "podTargetLabels={team}", "attachMetadata.node=true", "sampleLimit=40000", "targetLimit=5000", "labelLimit=30",
            "labelNameLengthLimit=200", "labelValueLengthLimit=300", "scrapeProtocols={PrometheusText0.0.4}", "proxyUrl=http://proxy:1", "params.x={y}",
            "tlsConfig.serverName=other", "tlsConfig.minVersion=TLS13", "relabelings[0].targetLabel=zone", "relabelings[0].replacement=a",
        ];
        var manifest = Helm.RenderWith(["tls.existingSecret=s", "tls.serverName=one", .. values.Select(each => $"{value}.{each}")]);

        var monitor = manifest[kind];
        AssertJson("""{"a": "b"}""", monitor["metadata"]!["annotations"]);
        var spec = monitor["spec"]!.AsObject();
        AssertJson(
            """
            {"jobLabel": "app", "podTargetLabels": ["team"], "attachMetadata": {"node": true}, "scrapeProtocols": ["PrometheusText0.0.4"], "sampleLimit": 40000,
             "targetLimit": 5000, "labelLimit": 30, "labelNameLengthLimit": 200, "labelValueLengthLimit": 300}
            """,
            new JsonObject(spec.Where(field => field.Key is not ("selector" or "namespaceSelector" or "podMetricsEndpoints" or "endpoints"))
                .Select(field => KeyValuePair.Create(field.Key, field.Value?.DeepClone()))));
        var endpoint = Assert.Single(Endpoints(manifest));
        Assert.Equal("http://proxy:1", (string?)endpoint["proxyUrl"]);
        AssertJson("""{"x": ["y"]}""", endpoint["params"]);
        AssertJson("""{"insecureSkipVerify": false, "serverName": "other", "minVersion": "TLS13", "ca": {"secret": {"name": "s", "key": "ca.crt"}}}""", endpoint["tlsConfig"]);
        // The chart's own come first, so that those of the values win; and the job is what jobLabel says.
        Assert.Equal(
            ["", "node", "instance", "zone"], endpoint["relabelings"]!.AsArray().Select(relabeling => (string?)relabeling!["targetLabel"] ?? ""));
    }

    /// <summary>What the operator adds to a target of a pod is not in the samples, whether or not they have labels of the same names themselves.</summary>
    [Theory]
    [InlineData("podMonitor")]
    [InlineData("serviceMonitor")]
    public void No_label_of_the_exporter_s_own_pod_reaches_a_sample(string value)
    {
        var endpoint = Assert.Single(Endpoints(Helm.RenderWith($"{value}.enabled=true")));

        var drop = new System.Text.RegularExpressions.Regex($"^(?:{endpoint["relabelings"]![0]!["regex"]})$");
        Assert.All(["container", "endpoint", "namespace", "pod", "service"], label => Assert.Matches(drop, label));
        Assert.All(["job", "instance", "node", "__address__", "pod_name", "__meta_kubernetes_pod_node_name"], label => Assert.DoesNotMatch(drop, label));
    }

    [Fact]
    public void Annotations_for_scrapes_are_there_on_demand_and_can_be_overridden()
    {
        Assert.Null(Helm.RenderWith().Pod["metadata"]!["annotations"]);

        AssertJson(
            """{"prometheus.io/scrape": "true", "prometheus.io/port": "9969", "prometheus.io/path": "/metrics", "prometheus.io/scheme": "http"}""",
            Helm.RenderWith("scrapeAnnotations=true").Pod["metadata"]!["annotations"]!);
        Assert.Equal("/x", (string?)Helm.RenderWith("scrapeAnnotations=true", @"podAnnotations.prometheus\.io/path=/x").Pod["metadata"]!["annotations"]!["prometheus.io/path"]);
    }

    [Fact]
    public void A_network_policy_lets_in_the_port_of_the_metrics_and_out_what_pods_connect_to()
    {
        Assert.DoesNotContain("NetworkPolicy", Helm.RenderWith().Kinds);

        AssertJson(
            """
            {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "podnet-exporter", "app.kubernetes.io/instance": "r"}}, "policyTypes": ["Ingress", "Egress"],
             "ingress": [{"ports": [{"port": "metrics", "protocol": "TCP"}], "from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
             "egress": [{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}, {"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]}]}
            """,
            Helm.RenderWith("networkPolicy.enabled=true", "networkPolicy.from[0].ipBlock.cidr=10.0.0.0/8")["NetworkPolicy"]["spec"]!);
    }

    [Theory]
    [InlineData("allowHostDirVolumePlugin allowHostNetwork allowHostPorts")]
    [InlineData("allowHostNetwork allowHostPorts", "options.Bpf.PinDirectory=")]
    public void OpenShift_s_constraints_allow_what_the_pods_ask_for_and_nothing_else(string allowed, params string[] values)
    {
        Assert.DoesNotContain("SecurityContextConstraints", Helm.RenderWith().Kinds);

        var manifest = Helm.RenderWith(["openshift.securityContextConstraints=true", "capabilities.olderKernels=true", .. values]);

        var constraints = manifest["SecurityContextConstraints"].AsObject();
        Assert.Equal(manifest.AddedCapabilities, constraints["allowedCapabilities"]!.AsArray().Select(name => (string)name!));
        Assert.Equal(
            allowed.Split(' '),
            constraints.Where(field => field.Key.StartsWith("allow", StringComparison.Ordinal) && field.Value!.GetValueKind() == System.Text.Json.JsonValueKind.True).Select(field => field.Key).Order(StringComparer.Ordinal));
        Assert.Equal(allowed.Contains("HostDir", StringComparison.Ordinal), constraints["volumes"]!.AsArray().Any(kind => (string?)kind == "hostPath"));
        AssertJson("""["system:serviceaccount:monitoring:r-podnet-exporter"]""", constraints["users"]!);
        AssertJson("""["runtime/default"]""", constraints["seccompProfiles"]!);
    }

    [Theory]
    [InlineData("podnet-exporter:0.1.0")]
    [InlineData("registry.example/p:0.1.0", "image.repository=registry.example/p")]
    [InlineData("podnet-exporter:main", "image.tag=main")]
    [InlineData("podnet-exporter@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "image.tag=main", "image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
    [InlineData("registry.example/team/p:0.1.0", "image.registry=registry.example", "image.repository=team/p")]
    [InlineData("mirror:5000/podnet-exporter:0.1.0", "global.imageRegistry=mirror:5000")]
    [InlineData("mirror.example/team/p:v1", "global.imageRegistry=mirror.example", "image.repository=quay.io/team/p", "image.tag=v1")]
    [InlineData("mirror.example/team/p:v1", "global.imageRegistry=mirror.example/", "image.registry=quay.io", "image.repository=team/p", "image.tag=v1")]
    [InlineData("mirror.example/p:v1", "global.imageRegistry=mirror.example", "image.repository=localhost/p", "image.tag=v1")]
    public void The_image_is_a_tag_or_a_digest(string image, params string[] values) => Assert.Equal(image, (string?)Helm.RenderWith(values).Container["image"]);

    [Theory]
    [InlineData("r-podnet-exporter")]
    [InlineData("r-net", "nameOverride=net")]
    [InlineData("net", "fullnameOverride=net")]
    public void Names_can_be_overridden(string name, params string[] values)
    {
        var manifest = Helm.RenderWith(values);

        Assert.Equal(name, (string?)manifest["DaemonSet"]["metadata"]!["name"]);
        Assert.Equal(name, (string?)manifest["Service"]["metadata"]!["name"]);
        Assert.Equal($"monitoring-{name}", (string?)manifest["ClusterRole"]["metadata"]!["name"]);
    }

    [Theory]
    [InlineData("imagePullSecrets[0].name=s", "imagePullSecrets", """[{"name": "s"}]""")]
    [InlineData("imagePullSecrets[0]=s", "imagePullSecrets", """[{"name": "s"}]""")]
    [InlineData("global.imagePullSecrets[0].name=s", "imagePullSecrets", """[{"name": "s"}]""")]
    [InlineData("global.imagePullSecrets[0]=s", "imagePullSecrets", """[{"name": "s"}]""")]
    [InlineData("dnsPolicy=ClusterFirstWithHostNet", "dnsPolicy", "\"ClusterFirstWithHostNet\"")]
    [InlineData("dnsConfig.nameservers[0]=10.0.0.1", "dnsConfig", """{"nameservers": ["10.0.0.1"]}""")]
    [InlineData("hostAliases[0].ip=10.0.0.1", "hostAliases", """[{"ip": "10.0.0.1"}]""")]
    [InlineData("podSecurityContext.fsGroup=1", "securityContext", """{"fsGroup": 1}""")]
    [InlineData("extraArgs[0]=--Drain:Interval=00:00:05", "containers/0/args", """["--Drain:Interval=00:00:05"]""")]
    [InlineData("extraEnvFrom[0].secretRef.name=s", "containers/0/envFrom", """[{"secretRef": {"name": "s"}}]""")]
    [InlineData("extraContainers[0].name=c", "containers/1", """{"name": "c"}""")]
    [InlineData("extraInitContainers[0].name=c", "initContainers", """[{"name": "c"}]""")]
    [InlineData("priorityClassName=system-node-critical", "priorityClassName", "\"system-node-critical\"")]
    [InlineData("terminationGracePeriodSeconds=5", "terminationGracePeriodSeconds", "5")]
    [InlineData("tolerations[0].key=k", "tolerations", """[{"key": "k"}]""")]
    [InlineData("nodeSelector.disk=ssd", "nodeSelector", """{"kubernetes.io/os": "linux", "disk": "ssd"}""")]
    [InlineData("affinity.nodeAffinity.x=y", "affinity", """{"nodeAffinity": {"x": "y"}}""")]
    [InlineData("extraVolumes[0].name=v", "volumes/2", """{"name": "v"}""")]
    [InlineData("extraEnv[0].name=A", "containers/0/env/4", """{"name": "A"}""")]
    [InlineData("extraVolumeMounts[0].name=v", "containers/0/volumeMounts/2", """{"name": "v"}""")]
    [InlineData("runAsUser=1", "containers/0/securityContext/runAsUser", "1")]
    [InlineData("seccompProfile.type=Unconfined", "containers/0/securityContext/seccompProfile", """{"type": "Unconfined"}""")]
    [InlineData("appArmorProfile.type=RuntimeDefault", "containers/0/securityContext/appArmorProfile", """{"type": "RuntimeDefault"}""")]
    [InlineData("seLinuxOptions.type=spc_t", "containers/0/securityContext/seLinuxOptions", """{"type": "spc_t"}""")]
    [InlineData("resources.limits.memory=1Gi", "containers/0/resources/limits", """{"memory": "1Gi"}""")]
    [InlineData("image.pullPolicy=Always", "containers/0/imagePullPolicy", "\"Always\"")]
    public void A_value_is_in_its_place_in_the_pod_and_was_another_before(string value, string path, string json)
    {
        Assert.False(JsonNode.DeepEquals(JsonNode.Parse(json), Find(Helm.RenderWith().PodSpec, path)), "It is so by default.");

        AssertJson(json, Find(Helm.RenderWith(value).PodSpec, path)!);
    }

    [Theory]
    [InlineData("annotations.a=b", "metadata/annotations", """{"a": "b"}""")]
    [InlineData("updateStrategy.rollingUpdate.maxUnavailable=2", "spec/updateStrategy", """{"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}""")]
    [InlineData("minReadySeconds=5", "spec/minReadySeconds", "5")]
    [InlineData("revisionHistoryLimit=1", "spec/revisionHistoryLimit", "1")]
    [InlineData("podAnnotations.a=b", "spec/template/metadata/annotations", """{"a": "b"}""")]
    [InlineData("podLabels.a=b", "spec/template/metadata/labels/a", "\"b\"")]
    [InlineData("commonLabels.a=b", "metadata/labels/a", "\"b\"")]
    public void A_value_is_in_its_place_in_the_DaemonSet_and_was_another_before(string value, string path, string json)
    {
        Assert.False(JsonNode.DeepEquals(JsonNode.Parse(json), Find(Helm.RenderWith()["DaemonSet"], path)), "It is so by default.");

        AssertJson(json, Find(Helm.RenderWith(value)["DaemonSet"], path)!);
    }

    [Fact]
    public void A_label_of_the_values_does_not_take_the_place_of_one_that_selectors_ask_for() =>
        Assert.Equal("podnet-exporter", (string?)Helm.RenderWith(@"podLabels.app\.kubernetes\.io/name=other").Pod["metadata"]!["labels"]!["app.kubernetes.io/name"]);

    [Fact]
    public void The_Service_can_be_left_out_and_annotated()
    {
        Assert.DoesNotContain("Service", Helm.RenderWith("service.enabled=false").Kinds);
        Assert.Equal("b", (string?)Helm.RenderWith("service.annotations.a=b")["Service"]["metadata"]!["annotations"]!["a"]);
        Assert.Equal("b", (string?)Helm.RenderWith("serviceAccount.annotations.a=b")["ServiceAccount"]["metadata"]!["annotations"]!["a"]);
    }

    /// <summary>Grafana's sidecar may look for another one.</summary>
    [Fact]
    public void The_label_of_the_dashboards_can_be_another_one()
    {
        var maps = Helm.RenderWith("dashboards.enabled=true", "dashboards.labels.grafana_dashboard=null", "dashboards.labels.mine=yes").Objects
            .Select(found => found["metadata"]!).Where(metadata => ((string)metadata["name"]!).Contains("-dashboard-", StringComparison.Ordinal)).ToList();

        Assert.NotEmpty(maps);
        Assert.All(maps, metadata => Assert.Equal(("yes", null), ((string?)metadata["labels"]!["mine"], metadata["labels"]!["grafana_dashboard"])));
    }

    /// <summary>Helm deletes a value that is null in a file of values, and keeps one that has no default.</summary>
    [Fact]
    public void Any_value_can_be_null()
    {
        var values = Assert.Single(Yaml.Parse(File.ReadAllText(Path.Combine(Helm.Chart, "values.yaml"))));
        var withoutValues = Render([]);

        // Null is the default again; these are things that a pod can be without.
        string[] removed = ["livenessProbe", "nodeSelector", "readinessProbe", "resources", "seccompProfile", "startupProbe", "tolerations", "updateStrategy"];
        var nulls = values.Select(value => $"{value.Key}:").Where(line => !removed.Contains(line[..^1]));
        Assert.Equal(withoutValues, Render([.. nulls]));
        foreach (var (key, value) in values.Where(value => value.Value is JsonObject { Count: > 0 } && !removed.Contains(value.Key)))
        {
            Assert.Equal(withoutValues, Render([$"{key}:", .. value!.AsObject().Select(inner => $"  {inner.Key}:")]));
        }
        foreach (var key in removed)
        {
            var daemonSet = Yaml.Parse(Render([$"{key}: null"])).Single(found => (string?)found["kind"] == "DaemonSet").ToJsonString();
            Assert.DoesNotContain($"\"{key}\"", daemonSet, StringComparison.Ordinal);
        }

        static string Render(string[] lines)
        {
            var path = Path.GetTempFileName();
            try
            {
                File.WriteAllLines(path, lines);
                var (exitCode, output, error) = Helm.Run("template", Helm.Release, Helm.Chart, "--values", path);
                Assert.True(exitCode == 0, $"{string.Join('\n', lines)}\n{error}");
                return output;
            }
            finally
            {
                File.Delete(path);
            }
        }
    }

    [Theory]
    [InlineData("options=null")]
    [InlineData("options.Metrics=null", "liveOptions.Drain=null")]
    [InlineData("options.Bpf.PinDirectory=null", "options.Server.Urls=null", "options.Metrics.PodLabels=null", "options.Handshake.Hook=null")]
    [InlineData("enabled=true", "exports.data.a=b")]
    public void Empty_keys_and_those_of_a_chart_above_change_nothing(params string[] values) =>
        Assert.Equal(
            Helm.RenderWith().Objects.Select(found => found.ToJsonString()), Helm.RenderWith(values).Objects.Select(found => found.ToJsonString()));

    [Fact]
    public void More_objects_are_rendered_as_templates()
    {
        var objects = Helm.RenderWith("extraManifests[0].kind=A", "extraManifests[0].metadata.name=a-{{ .Release.Name }}", "extraManifests[1]=kind: B").Objects;

        AssertJson("""{"kind": "A", "metadata": {"name": "a-r"}}""", objects.Single(found => (string?)found["kind"] == "A"));
        Assert.Contains(objects, found => (string?)found["kind"] == "B");
    }

    [Fact]
    public void Another_namespace_is_where_everything_is_and_is_looked_for()
    {
        var manifest = Helm.RenderWith("namespaceOverride=other", "podMonitor.enabled=true");

        Assert.All(manifest.Objects.Where(found => found["metadata"]!["namespace"] is not null), found => Assert.Equal("other", (string?)found["metadata"]!["namespace"]));
        Assert.Equal("other", (string?)manifest["ClusterRoleBinding"]["subjects"]![0]!["namespace"]);
        AssertJson("""{"matchNames": ["other"]}""", manifest["PodMonitor"]["spec"]!["namespaceSelector"]);
    }

    [Fact]
    public void A_recommender_of_resources_looks_at_the_exporter_s_container()
    {
        Assert.DoesNotContain("VerticalPodAutoscaler", Helm.RenderWith().Kinds);

        AssertJson(
            """
            {"targetRef": {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "r-podnet-exporter"}, "updatePolicy": {"updateMode": "Initial"},
             "resourcePolicy": {"containerPolicies": [{"containerName": "exporter", "controlledResources": ["cpu", "memory"], "controlledValues": "RequestsOnly", "maxAllowed": {"cpu": 1}}]}}
            """,
            Helm.RenderWith("verticalPodAutoscaler.enabled=true", "verticalPodAutoscaler.maxAllowed.cpu=1", "verticalPodAutoscaler.updatePolicy.updateMode=Initial")["VerticalPodAutoscaler"]["spec"]);
    }

    [Theory]
    [InlineData("kubectl --namespace monitoring rollout status daemonset/r-podnet-exporter")]
    [InlineData("The image is podnet-exporter:0.1.0, which has to be in the nodes' runtimes already")]
    [InlineData("port-forward daemonset/r-podnet-exporter 9970", "options.Server.Urls=http://*:9970")]
    [InlineData("curl http://localhost:9969/metrics")]
    [InlineData("curl http://NODE:9970/metrics", "options.Server.Urls=http://$(NODE_IP):9970/")]
    [InlineData("curl --user USER:PASSWORD http://NODE:9970/metrics", "options.Server.Urls=http://10.0.0.1:9970", "auth.existingSecret=s", "auth.basicAuthKey=t")]
    [InlineData("curl http://localhost:9971/metrics", "options.Server.Urls={http://$(NODE_IP):9970,http://127.0.0.1:9971}")]
    [InlineData("curl http://localhost:9970/metrics", "options.Server.Urls=http://[::]:9970")]
    [InlineData("curl --insecure --oauth2-bearer TOKEN https://localhost:9969/metrics", "tls.existingSecret=s", "auth.existingSecret=s", "auth.bearerTokenKey=t")]
    [InlineData("curl --user USER:PASSWORD http://localhost:9969/metrics", "auth.existingSecret=s", "auth.basicAuthKey=t")]
    [InlineData("Have Prometheus scrape it")]
    [InlineData("helm uninstall first removes the pins on 3 nodes", "uninstall.enabled=true", "uninstall.nodes=3")]
    [InlineData("delete rolebinding,role/r-podnet-exporter-unpin serviceaccount/r-podnet-exporter")]
    [InlineData("helm uninstall leaves the pins on the nodes", "rbac.create=false")]
    [InlineData("Prometheus scrapes it as the PodMonitor says", "podMonitor.enabled=true")]
    [InlineData("Prometheus scrapes it as the ServiceMonitor says", "serviceMonitor.enabled=true")]
    [InlineData("goes by the annotation prometheus.io/scrape", "scrapeAnnotations=true")]
    [InlineData("flows install --to=kafka --brokers=a:9092,b:9092", "options.Export.Sinks=kafka", "options.Kafka.Brokers={a:9092,b:9092}")]
    [InlineData("flows install --to=elasticsearch|opensearch --url=https://a:9200", "options.Export.Sinks=elasticsearch", "options.Elasticsearch.Urls={https://a:9200,https://b:9200}")]
    public void The_notes_say_what_to_do_next(string text, params string[] values)
    {
        var (exitCode, output, error) = Helm.Run(["install", Helm.Release, Helm.Chart, "--namespace", Helm.Namespace, "--dry-run=client", .. Helm.Set(values)]);

        Assert.True(exitCode == 0, error);
        Assert.Contains(text, output[output.IndexOf("NOTES:", StringComparison.Ordinal)..], StringComparison.Ordinal);
    }

    [Fact]
    public void Without_pins_the_notes_say_nothing_of_them() =>
        Assert.DoesNotContain("pinned", Helm.Run("install", Helm.Release, Helm.Chart, "--dry-run=client", "--set", "options.Bpf.PinDirectory=").Output.Split("NOTES:")[^1], StringComparison.Ordinal);

    private static IEnumerable<JsonNode> Endpoints(Manifest manifest) =>
        manifest.Objects.Select(found => found["spec"]?["podMetricsEndpoints"] ?? found["spec"]?["endpoints"]).OfType<JsonNode>().Select(endpoints => Assert.Single(endpoints.AsArray())!);

    private static JsonNode? Find(JsonNode node, string path) =>
        path.Split('/').Aggregate((JsonNode?)node, (at, key) => at switch
        {
            JsonArray array => int.Parse(key, System.Globalization.CultureInfo.InvariantCulture) is var index && index < array.Count ? array[index] : null,
            _ => at?[key],
        });
}
