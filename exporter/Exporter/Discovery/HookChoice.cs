namespace Exporter.Discovery;

internal enum HookChoice
{
    Auto,
    Tcx,
    Clsact,
}
