using System.Text;

namespace Exporter.State;

/// <summary>How keys are written.</summary>
internal static class RecordKey
{
    /// <summary>The key of a record of one signal.</summary>
    internal static byte[] Of(string signal, ulong number) => [.. BitConverter.GetBytes(number), .. Encoding.UTF8.GetBytes(signal)];

    internal static ulong ReadNumber(byte[] key) => BitConverter.ToUInt64(key);

    /// <summary>The signal in a key of <see cref="Of"/>.</summary>
    internal static string ReadSignal(byte[] key) => Encoding.UTF8.GetString(key.AsSpan(sizeof(ulong)));

    internal static byte[] Write(Action<BinaryWriter> write)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        write(writer);
        writer.Flush();
        return stream.ToArray();
    }

    internal static T Read<T>(byte[] key, Func<BinaryReader, T> read)
    {
        using var reader = new BinaryReader(new MemoryStream(key));
        return read(reader);
    }

    internal static void Write(BinaryWriter writer, IReadOnlyList<string> texts)
    {
        writer.Write((ushort)texts.Count);
        foreach (var text in texts)
        {
            writer.Write(text);
        }
    }

    internal static void Write(BinaryWriter writer, ulong? number)
    {
        writer.Write(number is not null);
        writer.Write(number ?? 0);
    }

    internal static ulong? ReadOptional(BinaryReader reader)
    {
        var (isKnown, number) = (reader.ReadBoolean(), reader.ReadUInt64());
        return isKnown ? number : null;
    }

    internal static string[] ReadTexts(BinaryReader reader)
    {
        var texts = new string[reader.ReadUInt16()];
        for (var i = 0; i < texts.Length; i++)
        {
            texts[i] = reader.ReadString();
        }
        return texts;
    }
}
