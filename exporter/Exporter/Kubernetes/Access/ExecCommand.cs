using System.Text;
using System.Text.Json;

namespace Exporter.Kubernetes.Access;

/// <summary>
/// A credential plugin: a program that prints credentials, as a kubeconfig's user.exec names it
/// (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins).
/// </summary>
/// <param name="Place">The field, for messages.</param>
/// <param name="Info">The value of KUBERNETES_EXEC_INFO for it.</param>
internal sealed record ExecCommand(
    string Place, string ApiVersion, string Command, IReadOnlyList<string> Arguments, IReadOnlyList<(string Name, string Value)> Variables, string InstallHint, string Info)
{
    private const string Group = "client.authentication.k8s.io";

    private const string Extension = $"{Group}/exec";

    /// <param name="cluster">Passed to the program if the kubeconfig asks for that, with its authorities in PEM.</param>
    /// <exception cref="AccessException">A field is missing or wrong.</exception>
    internal static ExecCommand Read(KubeconfigValue exec, KubeconfigValue cluster, byte[]? authorities)
    {
        var version = exec["apiVersion"].Text();
        if (version is not ($"{Group}/v1" or $"{Group}/v1beta1"))
        {
            throw exec["apiVersion"].Fail($"{(version.Length == 0 ? "is missing" : $"is '{version}'")}; write {Group}/v1 or {Group}/v1beta1");
        }
        var command = exec["command"].Text();
        if (command.Length == 0)
        {
            throw exec["command"].Fail("is missing; write the program that prints the credentials");
        }
        var mode = exec["interactiveMode"].Text();
        if (mode == "Always")
        {
            throw exec["interactiveMode"].Fail("is Always, but no user is at a terminal to answer; use a plugin that works with Never or IfAvailable");
        }
        if (mode is not ("Never" or "IfAvailable") && (mode.Length > 0 || version == $"{Group}/v1"))
        {
            throw exec["interactiveMode"].Fail($"{(mode.Length == 0 ? "is missing" : $"is '{mode}'")}; write Never or IfAvailable");
        }
        var variables = new List<(string Name, string Value)>();
        foreach (var variable in exec["env"].Items())
        {
            var name = variable["name"].Text();
            variables.Add(name.Length > 0 ? (name, variable["value"].Text()) : throw variable["name"].Fail("is missing"));
        }
        return new(
            exec.Description,
            version,
            // A name without a slash is searched in PATH.
            command.Contains('/') ? exec["command"].Resolve(command) : command,
            exec["args"].Texts(),
            variables,
            exec["installHint"].Text().Trim(),
            WriteInfo(version, exec["provideClusterInfo"].Flag() ? cluster : null, authorities));
    }

    private static string WriteInfo(string version, KubeconfigValue? cluster, byte[]? authorities)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("kind", "ExecCredential");
            writer.WriteString("apiVersion", version);
            writer.WriteStartObject("spec");
            if (cluster is not null)
            {
                writer.WriteStartObject("cluster");
                WriteCluster(writer, cluster, authorities);
                writer.WriteEndObject();
            }
            writer.WriteBoolean("interactive", false);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    private static void WriteCluster(Utf8JsonWriter writer, KubeconfigValue cluster, byte[]? authorities)
    {
        writer.WriteString("server", cluster["server"].Text());
        WriteText("tls-server-name");
        WriteFlag("insecure-skip-tls-verify");
        if (authorities is not null)
        {
            writer.WriteBase64String("certificate-authority-data", authorities);
        }
        WriteText("proxy-url");
        WriteFlag("disable-compression");
        writer.WritePropertyName("config");
        if (cluster["extensions"].Items().FirstOrDefault(item => item["name"].Text() == Extension) is { } extension)
        {
            extension["extension"].WriteTo(writer);
        }
        else
        {
            writer.WriteNullValue();
        }

        void WriteText(string name)
        {
            if (cluster[name].Text() is { Length: > 0 } text)
            {
                writer.WriteString(name, text);
            }
        }

        void WriteFlag(string name)
        {
            if (cluster[name].Flag())
            {
                writer.WriteBoolean(name, true);
            }
        }
    }
}
