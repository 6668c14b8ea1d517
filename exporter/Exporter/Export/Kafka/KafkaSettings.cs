using System.Text;
using Confluent.Kafka;
using Exporter.Health;
using Exporter.Options;

namespace Exporter.Export.Kafka;

/// <summary>Properties of librdkafka, as its CONFIGURATION.md names them, from options and the files that they name.</summary>
internal static class KafkaSettings
{
    private const string Brokers = "bootstrap.servers";
    private const string TokenMethod = "sasl.oauthbearer.method";

    /// <summary>Checks that the sink has brokers.</summary>
    internal static void Require(KafkaOptions options, OptionReader reader)
    {
        if (options.Brokers.Count == 0 && !reader.IsRefused(KafkaOptions.BrokersKey))
        {
            reader.Refuse(KafkaOptions.BrokersKey, $"is not set, and Export:Sinks has {KafkaOptions.SinkName}; write kafka-0.example:9092");
        }
    }

    /// <summary>Checks that the client takes the properties and that the files can be read and used, without asking a broker.</summary>
    internal static void Check(KafkaOptions options, OptionReader reader)
    {
        var errors = reader.Errors.Count;
        KafkaProperties.Check(options, reader);
        foreach (var (key, path) in options.Files)
        {
            if (new FileWatch().TryRead(path, out var problem) is null)
            {
                reader.Refuse(key, $"'{path}' cannot be read: {problem}", isOutside: true);
            }
        }
        // The reason of the first error, as a missing file, would be given twice.
        if (reader.Errors.Count == errors)
        {
            CheckWithClient(options, reader);
        }
    }

    /// <param name="files">Notes the files that are read.</param>
    /// <exception cref="FormatException">A file cannot be read or used.</exception>
    internal static Dictionary<string, string> Create(KafkaOptions options, FileWatch files) => RequireSafe(Compose(options, files));

    /// <summary>The same for a producer; what the options' properties say takes the place of the defaults here.</summary>
    /// <exception cref="FormatException">A file cannot be read or used.</exception>
    internal static Dictionary<string, string> CreateForProducer(KafkaOptions options, FileWatch files) => RequireSafe(ComposeForProducer(options, files));

    private static Dictionary<string, string> Compose(KafkaOptions options, FileWatch files)
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            [Brokers] = string.Join(',', options.Brokers),
            ["client.id"] = "podnet-exporter",
            ["security.protocol"] = options.Security switch
            {
                KafkaSecurity.Tls => "ssl",
                KafkaSecurity.SaslPlaintext => "sasl_plaintext",
                KafkaSecurity.SaslTls => "sasl_ssl",
                _ => "plaintext",
            },
            // Brokers close idle connections; that is not an error.
            ["log.connection.close"] = "false",
        };
        if (options.IsSasl)
        {
            var isToken = options.SaslMechanism == "OAUTHBEARER";
            settings["sasl.mechanisms"] = options.SaslMechanism;
            Add(isToken ? "sasl.oauthbearer.client.id" : "sasl.username", options.UserFile, isSecret: true);
            Add(isToken ? "sasl.oauthbearer.client.secret" : "sasl.password", options.PasswordFile, isSecret: true);
            settings[TokenMethod] = isToken ? "oidc" : "default";
        }
        Add("ssl.ca.location", options.CaFile, isSecret: false);
        Add("ssl.certificate.location", options.CertificateFile, isSecret: false);
        Add("ssl.key.location", options.KeyFile, isSecret: false);
        foreach (var (name, value) in KafkaProperties.Read(options))
        {
            settings[KafkaProperties.NameOf(name)] = value;
        }
        return settings;

        // The client reads files for TLS itself; the content is noted all the same, so that a change is seen.
        void Add(string name, string path, bool isSecret)
        {
            if (path.Length > 0)
            {
                var content = files.TryRead(path, out var problem) ?? throw new FormatException(problem);
                settings[name] = isSecret ? Encoding.UTF8.GetString(content).Trim('\uFEFF', '\r', '\n', ' ') : path;
            }
        }
    }

    private static Dictionary<string, string> ComposeForProducer(KafkaOptions options, FileWatch files)
    {
        var settings = Compose(options, files);
        settings["compression.codec"] = EnumText.Lower(options.Compression);
        // A repeat after a lost answer is not appended twice, and no record overtakes another.
        settings.TryAdd("enable.idempotence", "true");
        settings.TryAdd("acks", "all");
        settings.TryAdd("linger.ms", "20");
        // The defaults are 1 GiB and 5 minutes.
        settings.TryAdd("queue.buffering.max.kbytes", "8192");
        settings.TryAdd("message.timeout.ms", "60000");
        // As clients in Java have it.
        settings.TryAdd("partitioner", "murmur2_random");
        settings["dotnet.producer.delivery.report.fields"] = "value";
        return settings;
    }

    /// <summary>The client names one property that it does not take, and that by its own name for it: so each is tried alone.</summary>
    private static void CheckWithClient(KafkaOptions options, OptionReader reader)
    {
        if (TryProbe(() => ComposeForProducer(options, new())) is not { } whole)
        {
            return;
        }
        var properties = KafkaProperties.Read(options)
            .Select(property => (property.Name, Reason: TryProbe(() => new() { [property.Name] = property.Value }) is { } failure ? Explain(failure) : ""))
            .Where(property => property.Reason.Contains("configuration property", StringComparison.OrdinalIgnoreCase))
            .ToList();
        foreach (var (name, reason) in properties)
        {
            reader.Refuse(KafkaOptions.PropertiesKey, $"the Kafka client does not take {name}: {reason}");
        }
        foreach (var key in properties.Count > 0 ? [] : KafkaProperties.OptionsAtFault(whole, options))
        {
            reader.Refuse(key, $"the Kafka client does not take its settings: {Explain(whole)}", isOutside: true);
        }
    }

    /// <summary>Makes a producer without brokers and removes it. It asks no server.</summary>
    /// <returns>Why there is none; null: there was.</returns>
    private static Exception? TryProbe(Func<Dictionary<string, string>> create)
    {
        try
        {
            var settings = create();
            settings.Remove(Brokers);
            if (FetchesToken(settings))
            {
                RequireTokenSettings(settings);
                settings[TokenMethod] = "default";
            }
            Make(settings);
            return null;
        }
        catch (Exception e) when (IsRefusal(e))
        {
            return e;
        }

        static void Make(Dictionary<string, string> settings)
        {
            using var producer = new ProducerBuilder<Null, Null>(settings).SetLogHandler(static (_, _) => { }).SetErrorHandler(static (_, _) => { }).Build();
        }

        // What a token takes is checked before what the acknowledgements take, so no client is made here.
        static void RequireTokenSettings(Dictionary<string, string> settings)
        {
            try
            {
                Make(new(settings) { ["enable.idempotence"] = "true", ["acks"] = "1" });
            }
            catch (InvalidOperationException e) when (!e.Message.Contains("sasl.oauthbearer.", StringComparison.Ordinal))
            {
                // The token has all that it takes.
            }
        }
    }

    /// <summary>
    /// Whether a client with these settings asks for a token at once. Its removal waits for the answer, and a file for TLS that it cannot use ends the process
    /// (librdkafka 2.16).
    /// </summary>
    private static bool FetchesToken(Dictionary<string, string> settings) =>
        settings.TryGetValue(TokenMethod, out var method) && method.Equals("oidc", StringComparison.OrdinalIgnoreCase);

    /// <returns>The same settings.</returns>
    /// <exception cref="FormatException">A client with them would end the process.</exception>
    private static Dictionary<string, string> RequireSafe(Dictionary<string, string> settings) =>
        FetchesToken(settings) && TryProbe(() => new(settings)) is { } failure ? throw new FormatException(Explain(failure), failure) : settings;

    /// <summary>Whether the client refuses its settings or its files, or is not there.</summary>
    internal static bool IsRefusal(Exception e) => e is InvalidOperationException or ArgumentException or KafkaException or DllNotFoundException or FormatException or TypeInitializationException;

    /// <summary>Says that there is no client.</summary>
    /// <param name="remedy">With its separator.</param>
    internal static SinkException Refusal(Exception e, string remedy = "") => new($"the Kafka client cannot be made: {Explain(e)}{remedy}", e);

    internal static string Explain(Exception e) => e switch
    {
        DllNotFoundException or TypeInitializationException => "librdkafka.so cannot be loaded; it belongs beside the program or into a directory of libraries",
        _ => PlainWords.Reason(e),
    };
}
