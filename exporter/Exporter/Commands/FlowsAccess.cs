using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Exporter.Health;
using Exporter.Kubernetes.Access;
using Exporter.Server.Security;

namespace Exporter.Commands;

/// <summary>The arguments that say how an exporter is asked: the credentials that it wants, and the authorities of its certificate.</summary>
internal sealed record FlowsAccess(FlowsArgument TokenFile, FlowsArgument UserFile, FlowsArgument CaFile)
{
    internal IReadOnlyList<FlowsArgument> Arguments => [TokenFile, UserFile, CaFile];

    /// <param name="prefix">Of the names that a command has for another purpose as well.</param>
    internal static FlowsAccess Create(string prefix) => new(
        new("--token-file", "FILE", "The bearer token that the exporter wants."),
        new($"--{prefix}user-file", "FILE", "A line name:password that the exporter wants, as its Server:BasicAuthFile has it."),
        new($"--{prefix}ca-file", "FILE", "The authorities, in PEM, that the exporter's certificate is trusted by; the machine's if it is not given."));

    /// <summary>Reads the address of an exporter.</summary>
    /// <exception cref="FormatException">It is not such an address.</exception>
    internal Uri ParseUrl(string text)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
        {
            throw new FormatException("is not an address like http://localhost:9969");
        }
        return url.UserInfo.Length == 0 ? url : throw new FormatException($"has a name or a password; put them into a file, and name it with {UserFile.Name}");
    }

    /// <summary>Adds the errors of arguments that do not go together.</summary>
    /// <param name="urls">The addresses that are asked.</param>
    internal void Check(FlowsArguments arguments, IEnumerable<Uri> urls)
    {
        arguments.Require(!arguments.Has(TokenFile) || !arguments.Has(UserFile), $"{TokenFile.Name}, {UserFile.Name}: give one of the two.");
        arguments.Require(!arguments.Has(CaFile) || urls.Any(url => url.Scheme == Uri.UriSchemeHttps), $"{CaFile.Name}: is of use with an address of https alone.");
    }

    /// <summary>Reads the credentials for a request.</summary>
    /// <returns>Null: none were given.</returns>
    /// <exception cref="FlowsException">The file cannot be read or used.</exception>
    internal AuthenticationHeaderValue? ReadCredentials(FlowsArguments arguments)
    {
        if (arguments.Text(TokenFile) is { } tokenFile)
        {
            var token = Read(tokenFile).Trim();
            return token.Length > 0 && !token.Any(char.IsWhiteSpace) ? new("Bearer", token) : throw new FlowsException($"{tokenFile} has no token: it has to have one word");
        }
        if (arguments.Text(UserFile) is not { } userFile)
        {
            return null;
        }
        try
        {
            return new("Basic", Encoding.UTF8.GetString(AccessControl.ParsePasswords(Read(userFile))[0]));
        }
        catch (FormatException e)
        {
            throw new FlowsException($"{userFile} {e.Message}", e);
        }
    }

    /// <summary>Reads the authorities that were given.</summary>
    /// <returns>Null: the machine's are trusted.</returns>
    /// <exception cref="FlowsException">The file cannot be read or used.</exception>
    internal X509Certificate2Collection? ReadAuthorities(FlowsArguments arguments)
    {
        if (arguments.Text(CaFile) is not { } file)
        {
            return null;
        }
        var authorities = ServerTrust.Parse(Encoding.UTF8.GetBytes(Read(file)));
        return authorities.Count > 0 ? authorities : throw new FlowsException($"{file} has no certificate in PEM: it has to have the authority's");
    }

    /// <summary>The reason and the remedy of an answer 401.</summary>
    internal string ExplainRefusal(FlowsArguments arguments, HttpResponseMessage refusal)
    {
        var (wantsToken, wantsUser) = (Wants("Bearer"), Wants("Basic"));
        return (wantsToken, wantsUser) switch
        {
            (true, _) when arguments.Text(TokenFile) is { } file => $"refuses the token in {file}: it has to be the one in the exporter's Server:BearerTokenFile",
            (_, true) when arguments.Text(UserFile) is { } file => $"refuses the name and the password in {file}: they have to be a line of the exporter's Server:BasicAuthFile",
            (true, true) => $"wants a token, or a name and a password: give {TokenFile.Name}=FILE, or {UserFile.Name}=FILE",
            (true, false) => $"wants a token: give the exporter's Server:BearerTokenFile with {TokenFile.Name}=FILE",
            (false, true) => $"wants a name and a password: give a file like the exporter's Server:BasicAuthFile with {UserFile.Name}=FILE",
            _ => "answers 401 Unauthorized",
        };

        bool Wants(string scheme) => refusal.Headers.WwwAuthenticate.Any(challenge => challenge.Scheme.Equals(scheme, StringComparison.OrdinalIgnoreCase));
    }

    private static string Read(string file) => new FileWatch().TryRead(file, out var problem) is { } content
        ? Encoding.UTF8.GetString(content).TrimStart('\uFEFF')
        : throw new FlowsException($"{file} cannot be read: {problem}");
}
