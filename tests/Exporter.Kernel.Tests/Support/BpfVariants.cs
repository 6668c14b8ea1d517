namespace Exporter.Kernel.Tests.Support;

/// <summary>Objects made of the same sources, with something changed.</summary>
internal sealed class BpfVariants : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("bpfvariants");

    /// <summary>A directory for an exporter to look into.</summary>
    internal string Target { get; }

    internal BpfVariants()
    {
        Target = Path.Combine(_directory.FullName, "objects");
        Directory.CreateDirectory(Target);
    }

    /// <summary>Compiles bpf/FOLDER/NAME.bpf.c with texts replaced in it and in its header.</summary>
    internal static byte[] Compile(string folder, string name, string[]? flags = null, params (string Old, string New)[] changes)
    {
        var work = Directory.CreateTempSubdirectory("source");
        try
        {
            foreach (var file in Directory.GetFiles(Path.Combine(Repository.Root, "bpf", folder)))
            {
                var text = changes.Aggregate(File.ReadAllText(file), (current, change) => current.Replace(change.Old, change.New, StringComparison.Ordinal));
                File.WriteAllText(Path.Combine(work.FullName, Path.GetFileName(file)), text);
            }
            var result = Path.Combine(work.FullName, "result.o");
            Shell.Run("clang", [
                "-g", "-O2", "-target", "bpf", "-mcpu=v3", "-D__TARGET_ARCH_x86", $"-I{Path.Combine(Repository.Root, "bpf", "include")}",
                "-idirafter", "/usr/include/x86_64-linux-gnu", "-idirafter", "/usr/include/aarch64-linux-gnu", .. flags ?? [],
                "-c", Path.Combine(work.FullName, name + ".bpf.c"), "-o", result,
            ]);
            return File.ReadAllBytes(result);
        }
        finally
        {
            work.Delete(recursive: true);
        }
    }

    /// <summary>Puts an object where the exporter looks, in one step.</summary>
    internal void Publish(string name, byte[] content)
    {
        var draft = Path.Combine(_directory.FullName, "draft");
        File.WriteAllBytes(draft, content);
        File.Move(draft, Path.Combine(Target, name + ".bpf.o"), overwrite: true);
    }

    public void Dispose() => _directory.Delete(recursive: true);
}
