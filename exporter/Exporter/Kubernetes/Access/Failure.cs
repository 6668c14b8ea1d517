using System.Net.Sockets;

namespace Exporter.Kubernetes.Access;

/// <summary>Describes an exception in plain words: the innermost reason, without .NET's wrapping messages and stacks.</summary>
internal static class Failure
{
    internal static string Describe(Exception failure)
    {
        Exception bottom = failure;
        while (bottom is not (ApiUnreachableException or SocketException) && bottom.InnerException is { } inner)
        {
            bottom = inner;
        }
        return bottom switch
        {
            ApiUnreachableException or SocketException => bottom.Message,
            OperationCanceledException => "it does not answer",
            HttpIOException or HttpRequestException { HttpRequestError: HttpRequestError.ResponseEnded } or EndOfStreamException => "the connection ended in the middle of an answer",
            // OpenSSL's own words: error:0A000412:SSL routines::ssl/tls alert bad certificate
            _ when bottom.Message.StartsWith("error:", StringComparison.Ordinal) => DescribeTls(bottom.Message[(bottom.Message.LastIndexOf(':') + 1)..]),
            // SslStream's message for bytes that are not TLS
            _ when bottom.Message.StartsWith("Cannot determine the frame size", StringComparison.Ordinal) => "its answer is not TLS; is that the port of a server without TLS?",
            _ => bottom.Message,
        };
    }

    private static string DescribeTls(string reason) => reason switch
    {
        _ when reason.Contains("certificate required", StringComparison.Ordinal) => "it wants a client certificate",
        _ when reason.Contains("alert", StringComparison.Ordinal) => $"it refuses the connection ({reason})",
        _ when reason.Contains("wrong version number", StringComparison.Ordinal) => "its answer is not TLS; is that the port of a server without TLS?",
        _ => reason,
    };
}
