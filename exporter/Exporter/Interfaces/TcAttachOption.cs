namespace Exporter.Interfaces;

internal enum TcAttachOption
{
    Auto,
    Tcx,
    Clsact,
}
