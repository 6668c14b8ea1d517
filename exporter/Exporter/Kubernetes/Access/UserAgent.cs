using System.Runtime.InteropServices;
using Exporter.Options;

namespace Exporter.Kubernetes.Access;

/// <summary>The User-Agent header of requests.</summary>
internal static class UserAgent
{
    /// <summary>The header's value in the form of kubectl: name, version and platform.</summary>
    internal static readonly string Text =
        $"podnet-exporter/{ProductVersion.Text.Split('+')[0]} (linux/{(RuntimeInformation.ProcessArchitecture == Architecture.X64 ? "amd64" : EnumText.Lower(RuntimeInformation.ProcessArchitecture))})";
}
