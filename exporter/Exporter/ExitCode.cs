namespace Exporter;

/// <summary>How the program ends.</summary>
internal static class ExitCode
{
    internal const int Success = 0;

    /// <summary>Something failed at run time, such as a port that is taken.</summary>
    internal const int Failure = 1;

    /// <summary>The options are wrong.</summary>
    internal const int BadOptions = 2;

    /// <summary>The kernel or the privileges do not allow it.</summary>
    internal const int NotSupported = 3;
}
