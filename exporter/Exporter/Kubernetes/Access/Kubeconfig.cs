using System.Text;
using Exporter.Health;

namespace Exporter.Kubernetes.Access;

/// <summary>
/// One kubeconfig file, or several that are merged as kubectl does: the first file that defines a cluster, a user, a context or the current context
/// decides (https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/).
/// </summary>
internal sealed class Kubeconfig
{
    private readonly Dictionary<string, KubeconfigValue> _clusters = new(StringComparer.Ordinal);
    private readonly Dictionary<string, KubeconfigValue> _users = new(StringComparer.Ordinal);
    private readonly Dictionary<string, KubeconfigValue> _contexts = new(StringComparer.Ordinal);
    private readonly FileWatch _files;
    private KubeconfigValue? _currentContext;
    private KubeconfigValue? _last;

    private Kubeconfig(FileWatch files) => _files = files;

    internal bool IsEmpty => _last is null;

    /// <param name="mayBeMissing">Whether missing files are skipped, as in the list of KUBECONFIG.</param>
    /// <exception cref="AccessException">A file cannot be read or is not a kubeconfig.</exception>
    internal static Kubeconfig Read(IReadOnlyList<string> paths, bool mayBeMissing, FileWatch files)
    {
        var kubeconfig = new Kubeconfig(files);
        foreach (var path in paths)
        {
            if (files.TryRead(path, out var problem) is { } text)
            {
                kubeconfig.Add(KubeconfigValue.Parse(path, text));
            }
            else if (!mayBeMissing || File.Exists(path))
            {
                throw new AccessException($"'{path}' cannot be used: {problem}");
            }
        }
        return kubeconfig;
    }

    /// <param name="context">Empty: the current context.</param>
    /// <exception cref="AccessException">A field that the context needs is missing or wrong.</exception>
    internal ApiAccess Select(string context)
    {
        var name = context.Length > 0 ? context : _currentContext?.Text() ?? "";
        if (name.Length == 0)
        {
            throw _last!.Fail($"has no current-context; set Kubernetes:Context to one of: {List(_contexts)}");
        }
        var chosen = Find(_contexts, name, _last!, "context");
        var clusterName = chosen["cluster"].Text();
        var userName = chosen["user"].Text();
        var cluster = clusterName.Length > 0 ? Find(_clusters, clusterName, chosen["cluster"], "cluster") : throw chosen.Fail("names no cluster");
        var user = userName.Length > 0 ? Find(_users, userName, chosen["user"], "user") : throw chosen.Fail("names no user");
        var access = ReadCluster(cluster);
        var authenticated = AddUser(access, cluster, user);
        // Without TLS credentials would travel in clear text. kubectl does not send them either.
        return access.Server.Scheme == "https" ? authenticated : access with { Impersonation = authenticated.Impersonation };
    }

    private static KubeconfigValue Find(Dictionary<string, KubeconfigValue> entries, string name, KubeconfigValue where, string kind) =>
        entries.GetValueOrDefault(name) ?? throw where.Fail($"names the {kind} '{name}', which is not there; there are: {List(entries)}");

    private static string List(Dictionary<string, KubeconfigValue> entries) => entries.Count == 0 ? "none" : string.Join(", ", entries.Keys);

    private static void AddEntries(Dictionary<string, KubeconfigValue> entries, KubeconfigValue list, string kind)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var item in list.Items())
        {
            var name = item["name"].Text();
            if (!names.Add(name))
            {
                throw item.Fail($"has the name '{name}', which is there twice");
            }
            entries.TryAdd(name, item[kind].At($"{kind}s.{name}"));
        }
    }

    private static void RefuseBoth(KubeconfigValue owner, string field)
    {
        if (!owner[field].IsMissing && !owner[$"{field}-data"].IsMissing)
        {
            throw owner.Fail($"has both {field} and {field}-data; remove one");
        }
    }

    private static Uri? ReadProxy(KubeconfigValue value) =>
        value.Text() is not { Length: > 0 } text ? null
        : text.Contains("://", StringComparison.Ordinal) && EnvironmentProxy.Parse(text) is { Scheme: "http" or "https" or "socks5" } proxy ? proxy
        : throw value.Fail($"is '{text}', which is not a proxy; write an address like http://proxy:3128, with http, https or socks5");

    private static List<(string Name, string Value)> ReadImpersonation(KubeconfigValue user)
    {
        var headers = new List<(string Name, string Value)>();
        Add("Impersonate-User", user["as"].Text());
        Add("Impersonate-Uid", user["as-uid"].Text());
        foreach (var group in user["as-groups"].Texts())
        {
            headers.Add(("Impersonate-Group", group));
        }
        foreach (var (key, values) in user["as-user-extra"].Fields())
        {
            headers.AddRange(values.Texts().Select(value => ($"Impersonate-Extra-{EscapeHeader(key)}", value)));
        }
        return headers.Count > 0 && user["as"].IsMissing ? throw user.Fail("has as-uid, as-groups or as-user-extra, but no as, the user's name")
            : headers.Any(header => header.Value.Any(char.IsControl)) ? throw user.Fail("has a line break or another control character in the identity to act as")
            : headers;

        void Add(string name, string value)
        {
            if (value.Length > 0)
            {
                headers.Add((name, value));
            }
        }
    }

    /// <summary>Encodes bytes that a header's name cannot have (RFC 9110, section 5.6.2), and the percent sign, as % and two digits.</summary>
    private static string EscapeHeader(string key)
    {
        var escaped = new StringBuilder();
        foreach (var value in Encoding.UTF8.GetBytes(key))
        {
            if (char.IsAsciiLetterOrDigit((char)value) || "!#$&'*+-.^_`|~".Contains((char)value))
            {
                escaped.Append((char)value);
            }
            else
            {
                escaped.Append('%').Append(value.ToString("X2", System.Globalization.CultureInfo.InvariantCulture));
            }
        }
        return escaped.ToString();
    }

    private void Add(KubeconfigValue document)
    {
        if (document.IsMissing || !document.Fields().Any())
        {
            return;
        }
        if (document["apiVersion"].Text() is { Length: > 0 } version and not "v1")
        {
            throw document["apiVersion"].Fail($"is '{version}', but a kubeconfig has v1");
        }
        if (document["kind"].Text() is { Length: > 0 } kind and not "Config")
        {
            throw document["kind"].Fail($"is '{kind}', but a kubeconfig is a Config");
        }
        _last = document;
        AddEntries(_clusters, document["clusters"], "cluster");
        AddEntries(_users, document["users"], "user");
        AddEntries(_contexts, document["contexts"], "context");
        if (document["current-context"].Text().Length > 0)
        {
            _currentContext ??= document["current-context"];
        }
    }

    private ApiAccess ReadCluster(KubeconfigValue cluster)
    {
        RefuseBoth(cluster, "certificate-authority");
        var authorities = ReadPem(cluster, "certificate-authority", out var field);
        if (authorities is not null && ServerTrust.Parse(authorities).Count == 0)
        {
            throw field.Fail("has no certificate in PEM in it, which begins with -----BEGIN CERTIFICATE-----");
        }
        var skips = cluster["insecure-skip-tls-verify"].Flag();
        if (skips && authorities is not null)
        {
            throw cluster.Fail("has insecure-skip-tls-verify and a certificate-authority; remove one");
        }
        var (server, host) = Try(cluster["server"], value => value.Text() is { Length: > 0 } text
            ? ServerAddress.Parse(text)
            : throw new FormatException("is missing; write an address like https://10.0.0.1:6443"));
        return new()
        {
            Origin = $"'{cluster.File}'",
            Server = server,
            Host = host,
            Authorities = authorities,
            AuthoritiesOrigin = authorities is not null ? field.Description : "the kubeconfig has no certificate-authority",
            TlsServerName = cluster["tls-server-name"].Text(),
            SkipsVerification = skips,
            Proxy = ReadProxy(cluster["proxy-url"]),
            DisablesCompression = cluster["disable-compression"].Flag(),
        };
    }

    private ApiAccess AddUser(ApiAccess access, KubeconfigValue cluster, KubeconfigValue user)
    {
        if (!user["auth-provider"].IsMissing)
        {
            throw user["auth-provider"].Fail("is not supported; use exec with the provider's plugin, such as gke-gcloud-auth-plugin or kubelogin");
        }
        var token = ReadToken(user);
        var certificate = ReadCertificate(user);
        var name = user["username"].Text();
        string[] methods =
        [
            .. token.Length > 0 ? ["token"] : Array.Empty<string>(),
            .. name.Length > 0 || !user["password"].IsMissing ? ["username"] : Array.Empty<string>(),
        ];
        if (methods.Length > 1)
        {
            throw user.Fail($"has several kinds of credentials, {string.Join(" and ", methods)}; remove all but one");
        }
        var exec = user["exec"].IsMissing ? null : ExecCommand.Read(user["exec"], cluster, access.Authorities);
        return access with
        {
            Certificate = certificate,
            Authorization = token.Length > 0 ? $"Bearer {token}" : name.Length > 0 ? $"Basic {Encode($"{name}:{user["password"].Text()}")}" : "",
            // A token, a password or a certificate has precedence over a plugin, as with kubectl.
            Exec = token.Length > 0 || name.Length > 0 || certificate is not null ? null : exec,
            Impersonation = ReadImpersonation(user),
        };

        static string Encode(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
    }

    private string ReadToken(KubeconfigValue user)
    {
        var token = user["token"].Text();
        var file = user["tokenFile"];
        if (!file.IsMissing)
        {
            // The file has precedence if it can be read.
            var text = _files.TryRead(file.Resolve(file.Text()), out var problem) is { } bytes ? Encoding.UTF8.GetString(bytes).Trim() : "";
            if (text.Length == 0 && token.Length == 0)
            {
                throw file.Fail(problem.Length > 0 ? $"cannot be read: {problem}" : $"names '{file.Text()}', which is empty");
            }
            token = text.Length > 0 ? text : token;
        }
        return token.Any(char.IsControl) ? throw (file.IsMissing ? user["token"] : file).Fail("has a line break or another control character in the token") : token;
    }

    private ClientCertificate? ReadCertificate(KubeconfigValue user)
    {
        RefuseBoth(user, "client-certificate");
        RefuseBoth(user, "client-key");
        if (ReadPem(user, "client-certificate", out var field) is not { } certificates)
        {
            return null;
        }
        return ReadPem(user, "client-key", out _) is { } key
            ? Try(field, _ => ClientCertificate.Parse(certificates, key))
            : throw user.Fail("has a client certificate, but neither client-key nor client-key-data");
    }

    /// <param name="found">The field that has the value.</param>
    private byte[]? ReadPem(KubeconfigValue owner, string name, out KubeconfigValue found)
    {
        found = owner[$"{name}-data"];
        if (found.Bytes() is { } data)
        {
            return data;
        }
        found = owner[name];
        return found.Text() is not { Length: > 0 } path ? null
            : _files.TryRead(found.Resolve(path), out var problem) ?? throw found.Fail($"cannot be read: {problem}");
    }

    private static T Try<T>(KubeconfigValue value, Func<KubeconfigValue, T> read)
    {
        try
        {
            return read(value);
        }
        catch (FormatException e)
        {
            throw value.Fail(e.Message, e);
        }
    }
}
