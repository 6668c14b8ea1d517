using Exporter.Metrics;
using Exporter.Server;
using Exporter.Server.Security;
using Exporter.Tests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests;

/// <summary>What a file of passwords may hold.</summary>
public sealed class AccessControlTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();
    private readonly FakeTimeProvider _time = new();
    private readonly RecordingLogger<SecretFiles> _logger = new();

    public void Dispose() => File.Delete(_file);

    [Theory]
    [InlineData("$2y$05$abcdefghijklmnopqrstuuE3Qy9Gm0wPzq1Zr0sQO1Cb6uX3dWcJm", "$2y$")]
    [InlineData("$2a$10$abcdefghijklmnopqrstuuE3Qy9Gm0wPzq1Zr0sQO1Cb6uX3dWcJm", "$2a$")]
    [InlineData("$2b$12$abcdefghijklmnopqrstuuE3Qy9Gm0wPzq1Zr0sQO1Cb6uX3dWcJm", "$2b$")]
    [InlineData("$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/", "$apr1$")]
    [InlineData("$1$salt$qJH7.N4xYta3aEG/dfqo/0", "$1$")]
    [InlineData("$5$rounds=535000$salt$hash", "$5$")]
    [InlineData("$6$salt$hash", "$6$")]
    [InlineData("$y$j9T$salt$hash", "$y$")]
    [InlineData("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "$argon2id$")]
    [InlineData("$pbkdf2-sha256$29000$salt$hash", "$pbkdf2-sha256$")]
    [InlineData("{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=", "{SHA}")]
    [InlineData("{SSHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=", "{SSHA}")]
    [InlineData("rqXexS6ZhobKA", "crypt(3)")]
    [InlineData("_J9..rasmBYk8r9AiWNc", "crypt(3)")]
    public void A_hash_is_refused_with_the_number_of_its_line_and_its_kind_and_not_shown(string hash, string kind)
    {
        File.WriteAllText(_file, $"admin:secret\n\nprometheus:{hash}\n");

        var error = Assert.Throws<FormatException>(() => Open()).Message;

        Assert.StartsWith("Server:BasicAuthFile: has a hash", error, StringComparison.Ordinal);
        Assert.Contains("for prometheus in line 3", error, StringComparison.Ordinal);
        Assert.Contains(kind, error, StringComparison.Ordinal);
        Assert.DoesNotContain(hash, error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("s$cret", "s$cret")]
    [InlineData("$ecret", "$ecret")]
    [InlineData("{PLAIN}$2y$05$really", "$2y$05$really")]
    [InlineData("{PLAIN}rqXexS6ZhobKA", "rqXexS6ZhobKA")]
    [InlineData("{secret", "{secret")]
    [InlineData("p:ss wörd", "p:ss wörd")]
    public async Task A_password_that_is_no_hash_is_taken_as_it_is(string written, string shown)
    {
        await File.WriteAllTextAsync(_file, $"prometheus:{written}\r\n");

        Assert.Equal(200, await AskAsync(Open(), $"prometheus:{shown}"));
        Assert.Equal(401, await AskAsync(Open(), $"prometheus:{shown}!"));
    }

    [Fact]
    public async Task A_hash_that_comes_with_a_reload_leaves_the_previous_passwords_in_force_and_is_logged()
    {
        await File.WriteAllTextAsync(_file, "prometheus:one");
        var access = Open();
        await File.WriteAllTextAsync(_file, "prometheus:two\nadmin:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/");
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(200, await AskAsync(access, "prometheus:one"));
        Assert.Equal(401, await AskAsync(access, "prometheus:two"));
        Assert.Contains("for admin in line 2", Assert.Single(_logger.Entries).Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("s3cret")]
    [InlineData("a,b")]
    [InlineData(",")]
    [InlineData("a=\"b\";c")]
    [InlineData("söcret")]
    public async Task A_token_is_taken_as_it_is(string token)
    {
        await File.WriteAllTextAsync(_file, $"{token}\n");
        var access = Open("Server:BearerTokenFile");

        Assert.Equal(200, await AskWithAsync(access, $"Bearer {token}"));
        Assert.Equal(200, await AskWithAsync(access, $"bearer  {token} "));
        foreach (var other in (string?[])[null, "", "Bearer", "Bearer ", $"Bearer {token}x", $"Bearer {token[1..]}", $"Bearer {token} {token}", $"Basic {token}", token])
        {
            Assert.Equal((other, 401), (other, await AskWithAsync(access, other)));
        }
    }

    private AccessControl Open(string key = "Server:BasicAuthFile") =>
        AccessControl.Open(new SecretFiles(new OwnMetrics().Factory, _time, _logger), ServerOptions.Read(TestOptions.Reader((key, _file))), new ServerRefusals(Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry())));

    private static Task<int> AskAsync(AccessControl access, string shown) =>
        AskWithAsync(access, $"Basic {Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(shown))}");

    private static async Task<int> AskWithAsync(AccessControl access, string? header)
    {
        var context = new DefaultHttpContext();
        context.Request.Path = "/metrics";
        context.Request.Headers.Authorization = header;
        await access.HandleAsync(context, _ => Task.CompletedTask);
        return context.Response.StatusCode;
    }
}
