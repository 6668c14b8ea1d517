using System.Runtime.InteropServices;
using Exporter.Options;

namespace Exporter.Kubernetes.Access;

/// <summary>What requests are signed with.</summary>
internal static class UserAgent
{
    /// <summary>In the form that kubectl and others use: name, version and platform.</summary>
    internal static readonly string Text =
        $"podnet-exporter/{ProductVersion.Text.Split('+')[0]} (linux/{(RuntimeInformation.ProcessArchitecture == Architecture.X64 ? "amd64" : EnumText.Lower(RuntimeInformation.ProcessArchitecture))})";
}
