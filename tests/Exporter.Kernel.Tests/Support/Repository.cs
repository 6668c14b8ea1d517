namespace Exporter.Kernel.Tests.Support;

/// <summary>Where the sources are.</summary>
internal static class Repository
{
    internal static string Root { get; } = Find(new DirectoryInfo(AppContext.BaseDirectory));

    private static string Find(DirectoryInfo directory) =>
        File.Exists(Path.Combine(directory.FullName, "Exporter.sln")) ? directory.FullName : Find(directory.Parent!);
}
