using System.Globalization;
using System.Text;

namespace Exporter.Commands;

/// <summary>podnet-exporter flows --help.</summary>
internal static class FlowsHelp
{
    internal static string Write()
    {
        var text = new StringBuilder();
        Write(text, "podnet-exporter flows", "Prints the records of the last interval of a running exporter as a table or as JSON lines.", FlowsShowCommand.Arguments);
        text.AppendLine();
        Write(
            text,
            "podnet-exporter flows verify",
            "Checks the records of one sink, in files or in a topic: that no record is missing that is not counted as lost, that repeats are equal, and that flows and rest add up to the pods' counters.",
            FlowsVerifyCommand.Arguments);
        text.AppendLine();
        text.Append("""
            It ends with 0 when all is right, 1 when something is wrong, 2 when arguments are wrong. Counters equal flows and rest where no traffic is between a scrape
            and the next end of an interval. It needs 24 bytes of memory for each record, and about 80 while the record's interval is not whole.


            """);
        Write(text, "podnet-exporter flows install --to=kafka", "Makes topics for the records and for the jobs' results; it can be run again at any time.", FlowsInstallKafka.Arguments);
        text.AppendLine();
        Write(text, "podnet-exporter flows install", "Puts index templates, aliases and lifecycles for records into Elasticsearch or OpenSearch; it can be run again at any time.", FlowsInstallCommand.Arguments);
        text.AppendLine();
        Write(text, "podnet-exporter flows schema", "Prints the fields of records: their types, units, values and meanings, or as an engine declares them.", FlowsSchemaCommand.Arguments);
        return text.ToString().TrimEnd();
    }

    private static void Write(StringBuilder text, string command, string description, IEnumerable<FlowsArgument> arguments)
    {
        text.AppendLine(command).AppendLine(CultureInfo.InvariantCulture, $"    {description}");
        foreach (var argument in arguments)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"    {argument.Usage}").AppendLine(CultureInfo.InvariantCulture, $"        {argument.Description}");
        }
    }
}
