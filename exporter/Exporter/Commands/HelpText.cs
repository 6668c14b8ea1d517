using System.Text;
using Exporter.Options;

namespace Exporter.Commands;

/// <summary>podnet-exporter help.</summary>
internal static class HelpText
{
    internal static string Write(IEnumerable<OptionDescription> options)
    {
        var text = new StringBuilder("""
            Counts the traffic of every pod on this node, and serves it to Prometheus.

            podnet-exporter [run]     counts and serves until it is stopped
            podnet-exporter check     reports the kernel's features and the choices that run would make
            podnet-exporter metrics   lists the metrics, and how many sample lines a pod costs with these options
            podnet-exporter options [--schema]
                                      lists the options, as docs/options.md does; with --schema as the chart's
                                      values.schema.json does
            podnet-exporter flows [--follow] [-n NAMESPACE] [--pod NAME] [--peer TEXT] [--port NUMBER] [--host IP|CIDR] [-o table|json]
                                      prints the records of flows of a running exporter's last interval
            podnet-exporter flows verify --from=FILE [--metrics=URL]
                                      checks that files of records are complete and add up; 'podnet-exporter flows --help' lists all arguments
            podnet-exporter flows install --to=kafka --brokers=HOST:PORT [--dry-run]
                                      makes the topics of records and of the jobs' results
            podnet-exporter flows install --to=elasticsearch|opensearch --url=URL [--dry-run]
                                      puts index templates and lifecycles for records into Elasticsearch or OpenSearch
            podnet-exporter flows schema [--for=json-schema|fields|ENGINE]
                                      prints the fields of records, also as Elasticsearch, OpenSearch, ClickHouse, Flink or Spark declares them
            podnet-exporter uninstall [--all] [--stay=SECONDS]
                                      removes the state that outlives the exporter in this network namespace: programs, filters, maps,
                                      pins; with --all in every network namespace that uses this Bpf:PinDirectory; with --stay it ends
                                      so many seconds later, for a Job that is to have one running pod on each node
            podnet-exporter help      this text
            podnet-exporter version   the version

            Options are written --Section:Key=value, or PODNET__Section__Key=value in the environment, or
            {"Section": {"Key": "value"}} in appsettings.json beside the program; the command line wins.


            """);
        foreach (var option in options)
        {
            text.AppendLine(System.Globalization.CultureInfo.InvariantCulture, $"--{option.Key}={option.Default}");
            text.AppendLine(System.Globalization.CultureInfo.InvariantCulture, $"    {option.Description} ({option.Values})");
        }
        return text.ToString().TrimEnd();
    }
}
