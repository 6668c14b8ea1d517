using Exporter.Export;
using Exporter.Options;
using Exporter.Server;
using Exporter.Tests.Support;

namespace Exporter.Tests;

public sealed class ExportOptionsTests
{
    [Fact]
    public void Without_any_setting_nothing_is_exported()
    {
        var options = Read();

        Assert.Empty(options.Sinks);
        Assert.Equal(32 << 20, options.MaxMemory);
        Assert.Equal(new FileSinkOptions("", 100 << 20, 5, false), options.File);
        Assert.Equal(([], "podnet-flow", ""), (options.Elasticsearch.Urls, options.Elasticsearch.Index, options.Elasticsearch.CaFile));
    }

    [Theory]
    [InlineData("file,stdout")]
    [InlineData(" File ; stdout ")]
    public void Sinks_are_separated_by_commas_or_as_other_lists_are(string text) =>
        Assert.Equal(["file", "stdout"], Read(("Export:Sinks", text), ("File:Path", "/a")).Sinks);

    [Theory]
    [InlineData("12582912", 12 << 20)]
    [InlineData("12 MiB", 12 << 20)]
    [InlineData("12mib", 12 << 20)]
    [InlineData("8192KiB", 8 << 20)]
    [InlineData("4GiB", 4L << 30)]
    public void A_size_is_bytes_or_has_a_unit(string text, long bytes)
    {
        Assert.Equal(bytes, Read(("Export:MaxMemory", text)).MaxMemory);
        Assert.Matches(ByteSize.Pattern, text);
    }

    [Theory]
    [InlineData("https://me:secret@a:9200")]
    [InlineData("https://b:9200,https://me:sec/ret@a:9200")]
    [InlineData("https://me:sec@ret@a:9200/?x=1")]
    [InlineData("ftp://me:secret@a")]
    [InlineData("http://me:secret@a:99999")]
    public void An_error_never_repeats_a_password_in_an_address(string text)
    {
        var reader = TestOptions.Reader(("Elasticsearch:Urls", text), ("Server:Urls", text));
        ElasticsearchOptions.Read(reader);
        ServerOptions.Read(reader);

        Assert.All(reader.Errors, error => Assert.Contains("***@a", error, StringComparison.Ordinal));
        Assert.All(reader.Errors, error => Assert.False(error.Contains("sec", StringComparison.Ordinal) || error.Contains("ret@", StringComparison.Ordinal), error));
    }

    [Fact]
    public void An_address_with_a_password_is_refused_and_where_to_put_it_is_said()
    {
        var reader = TestOptions.Reader(("Elasticsearch:Urls", "https://me:secret@a:9200"));
        ElasticsearchOptions.Read(reader);

        Assert.Equal(
            "Elasticsearch:Urls: 'https://***@a:9200' has a name or a password in the address of a; put them into files, and set Elasticsearch:UserFile and Elasticsearch:PasswordFile.",
            Assert.Single(reader.Errors));
    }

    [Fact]
    public void Files_and_directories_that_the_sinks_in_use_need_are_looked_for_and_all_that_is_missing_is_named()
    {
        var folder = Directory.CreateTempSubdirectory("podnet-options-");
        try
        {
            var missing = Path.Combine(folder.FullName, "missing");
            var (empty, words, text) = (Write("empty", ""), Write("words", "two words"), Write("text", "no certificate"));
            (string, string?)[] options =
            [
                ("Export:Sinks", "file,elasticsearch"), ("File:Path", $"{missing}/flows.json"), ("Elasticsearch:Urls", "https://a:9200"),
                ("Elasticsearch:UserFile", words), ("Elasticsearch:PasswordFile", missing), ("Elasticsearch:CaFile", text),
            ];

            Assert.Equal(
                [
                    $"File:Path: the directory of '{missing}/flows.json' is not there; create it.",
                    $"Elasticsearch:UserFile: '{words}' has more than one word, or a character that is not ASCII; write the name or the key alone into it.",
                    $"Elasticsearch:PasswordFile: '{missing}' cannot be read: there is no file '{missing}'.",
                    $"Elasticsearch:CaFile: '{text}' has no certificate in PEM; write the authority's into it.",
                ],
                TestOptions.ErrorsOf(options));
            Assert.Empty(TestOptions.ErrorsOf([.. options[1..], ("Export:Sinks", "stdout")]));
            Assert.Equal(
                [$"File:Path: '{folder.FullName}' is a directory; write the path of a file in it.", $"Elasticsearch:ApiKeyFile: '{empty}' is empty, or has more than one line; write one line into it."],
                TestOptions.ErrorsOf(("Export:Sinks", "file,elasticsearch"), ("File:Path", folder.FullName), ("Elasticsearch:Urls", "http://a:9200"), ("Elasticsearch:ApiKeyFile", empty)));
            Assert.Equal(
                [$"Elasticsearch:CaFile: '{missing}' cannot be used: there is no file '{missing}'."],
                TestOptions.ErrorsOf(("Export:Sinks", "file,elasticsearch"), ("File:Path", Path.Combine(folder.FullName, "flows.json")), ("Elasticsearch:Urls", "https://a:9200"), ("Elasticsearch:CaFile", missing)));
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        string Write(string name, string content)
        {
            var path = Path.Combine(folder.FullName, name);
            File.WriteAllText(path, content);
            return path;
        }
    }

    [Fact]
    public void Servers_that_are_wrong_are_not_said_to_be_missing() => Assert.Single(TestOptions.ErrorsOf(("Export:Sinks", "elasticsearch"), ("Elasticsearch:Urls", "localhost")));

    [Theory]
    [InlineData("Export:MaxMemory", "32", "is out of range; it can be from 8MiB to 4GiB")]
    [InlineData("Export:MaxMemory", "99999999999GiB", "is not a size; write a whole number of bytes, KiB, MiB or GiB, like 32MiB")]
    [InlineData("Export:MaxMemory", "1.5GiB", "is not a size; write a whole number of bytes, KiB, MiB or GiB, like 32MiB")]
    [InlineData("Export:MaxMemory", "MiB", "is not a size; write a whole number of bytes, KiB, MiB or GiB, like 32MiB")]
    [InlineData("Export:MaxMemory", "-1", "is not a size; write a whole number of bytes, KiB, MiB or GiB, like 32MiB")]
    [InlineData("Export:Sinks", "stdout, kafkaesque", "has 'kafkaesque', which is not a sink; the sinks are file, stdout, kafka, elasticsearch")]
    [InlineData("Export:Sinks", "stdout,stdout", "has stdout twice; name each sink once")]
    [InlineData("Export:Sinks", "file", "has file, and File:Path is not set; set it to an absolute path")]
    [InlineData("Export:Sinks", "elasticsearch", "has elasticsearch, and Elasticsearch:Urls is not set; set it to the servers' addresses")]
    [InlineData("Elasticsearch:Urls", "localhost", "has 'localhost', which is not an address; write one like https://elasticsearch:9200")]
    [InlineData("Elasticsearch:Urls", "https://a:9200,ftp://b", "has 'ftp://b', which is not an address; write one like https://elasticsearch:9200")]
    [InlineData("Elasticsearch:Urls", "https://a:9200/?x=1", "has 'https://a:9200/?x=1', which has a query or a fragment; write an address like https://elasticsearch:9200")]
    [InlineData("Elasticsearch:Index", "Podnet", "is not the name of an index; write small letters, digits, '-', '_' and '.', at most 200, and a letter or a digit first")]
    [InlineData("Elasticsearch:CaFile", "ca.pem", "is not the absolute path of a file; write one that begins with / and does not end in /")]
    [InlineData("Elasticsearch:UserFile", "/user", "is set, and Elasticsearch:PasswordFile is not; set both")]
    [InlineData("File:Path", "flows.json", "is not the absolute path of a file; write one that begins with / and does not end in /")]
    [InlineData("File:Path", "/flows/", "is not the absolute path of a file; write one that begins with / and does not end in /")]
    [InlineData("File:MaxFiles", "1", "is not a whole number from 2 to 1000")]
    public void An_error_says_what_is_wrong_and_what_can_be_written(string key, string text, string error)
    {
        var reader = TestOptions.Reader((key, text));
        ExportOptions.Read(reader);

        Assert.Equal($"{key}: '{text}' {error}.", Assert.Single(reader.Errors));
    }

    [Fact]
    public void Errors_in_several_options_of_Elasticsearch_are_reported_at_once()
    {
        var reader = TestOptions.Reader(
            ("Elasticsearch:Urls", "http://a:9200, http://b"), ("Elasticsearch:PasswordFile", "/p"), ("Elasticsearch:UserFile", "/u"), ("Elasticsearch:ApiKeyFile", "/k"), ("Elasticsearch:CaFile", "/c"), ("Elasticsearch:Index", "_x"));
        var options = ExportOptions.Read(reader).Elasticsearch;

        Assert.Equal(["Elasticsearch:ApiKeyFile", "Elasticsearch:CaFile", "Elasticsearch:Index"], reader.Errors.Select(error => error[..error.IndexOf(": ", StringComparison.Ordinal)]).Order());
        Assert.Equal(["http://a:9200/", "http://b/"], options.Urls.Select(url => url.AbsoluteUri));
    }

    [Theory]
    [InlineData(0, "0")]
    [InlineData(1023, "1023")]
    [InlineData(1024, "1KiB")]
    [InlineData(1536 << 10, "1536KiB")]
    [InlineData(3L << 30, "3GiB")]
    public void A_size_is_written_as_it_is_read(long size, string text)
    {
        Assert.Equal(text, ByteSize.Write(size));
        Assert.Equal(size, ByteSize.TryParse(text));
    }

    private static ExportOptions Read(params (string Key, string? Value)[] settings)
    {
        var reader = TestOptions.Reader(settings);
        var options = ExportOptions.Read(reader);
        Assert.Empty(reader.Errors);
        return options;
    }
}
