namespace Exporter.Server;

/// <summary>Values of the label <c>reason</c> of <c>podnet_exporter_server_refusals_total</c>.</summary>
internal static class RefusalReason
{
    /// <summary>A connection was closed, or not accepted, because Server:MaxConnections are open.</summary>
    internal const string Connections = "connections";

    /// <summary>No complete request arrived within Server:HeaderTimeout.</summary>
    internal const string HeaderTimeout = "header_timeout";

    /// <summary>The request line and headers are larger than Server:MaxHeaderSize.</summary>
    internal const string HeaderSize = "header_size";

    /// <summary>The request is not valid HTTP, has a body, which is not read, or does not begin with a TLS handshake although the server has a certificate.</summary>
    internal const string BadRequest = "bad_request";

    /// <summary>The request has no valid token or password.</summary>
    internal const string Unauthorized = "unauthorized";

    /// <summary>Server:MaxScrapes scrapes are running.</summary>
    internal const string Scrapes = "scrapes";

    /// <summary>As many requests for the other pages are running.</summary>
    internal const string Pages = "pages";

    /// <summary>The client did not read its answer in time.</summary>
    internal const string SlowClient = "slow_client";

    internal static IReadOnlyList<string> All { get; } =
        [Connections, HeaderTimeout, HeaderSize, BadRequest, Unauthorized, Scrapes, Pages, SlowClient];
}
