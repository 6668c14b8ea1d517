namespace Exporter.Pods;

internal enum IdentityChoice
{
    Auto,
    Kubernetes,
    Standalone,
}
