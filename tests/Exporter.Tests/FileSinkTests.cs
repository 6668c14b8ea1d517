using System.Globalization;
using System.Text;
using Exporter.Export;
using Exporter.Tests.Support;
using Microsoft.Extensions.Time.Testing;
using Microsoft.Win32.SafeHandles;

namespace Exporter.Tests;

public sealed class FileSinkTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("podnet-file-").FullName;
    private readonly RecordingLogger<FileSink> _logger = new();
    private readonly ExportedLines _lines = new(new FakeTimeProvider(), 16, ExportRing.BlockBytes, ("file", default));
    private readonly List<FileSink> _sinks = [];

    public void Dispose()
    {
        _sinks.ForEach(sink => sink.Dispose());
        Directory.Delete(_directory, recursive: true);
    }

    private string Path => System.IO.Path.Combine(_directory, "flows.json");

    [Fact]
    public async Task Lines_are_appended_and_the_group_may_read_them()
    {
        var sink = Open();
        _lines.Fill(2);
        await _lines.WriteAllAsync(sink);
        _lines.Fill(1);
        await _lines.WriteAllAsync(sink);

        Assert.Equal("Flow 0 \nFlow 1 \nend 1 file 2 16 2 2 0\nFlow 2 \nend 2 file 1 8 3 3 0\n", await ReadAsync(Path));
        Assert.Equal((UnixFileMode)0, File.GetUnixFileMode(Path) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute | UnixFileMode.GroupWrite));
        Assert.True(File.GetUnixFileMode(Path).HasFlag(UnixFileMode.UserRead | UnixFileMode.UserWrite));
    }

    [Fact]
    public async Task A_line_that_was_left_unfinished_is_ended_at_the_start()
    {
        await File.WriteAllTextAsync(Path, "whole\nhal", TestContext.Current.CancellationToken);
        _lines.Fill(1);
        await _lines.WriteAllAsync(Open());

        Assert.StartsWith("whole\nhal\nFlow 0 \n", await ReadAsync(Path), StringComparison.Ordinal);
        Assert.Equal(1, _logger.CountOf("Ended the last line of"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_files_from_the_oldest_to_the_newest_have_all_lines_in_their_order(bool syncs)
    {
        var sink = Open(maxSize: 100_000, maxFiles: 50, syncs);
        for (var i = 0; i < 40; i++)
        {
            _lines.Fill(40, padding: 1000);
            await _lines.WriteAllAsync(sink);
        }

        var files = Files();
        Assert.InRange(files.Length, 10, 50);
        Assert.All(files, file => Assert.InRange(new FileInfo(file).Length, 1, 100_000));
        Assert.All(files, file => Assert.EndsWith("\n", File.ReadAllText(file), StringComparison.Ordinal));
        var lines = files.Reverse().SelectMany(File.ReadLines).ToList();
        Assert.Equal(Enumerable.Range(0, 1600), lines.Select(ExportedLines.NumberOf).OfType<int>());
        Assert.Equal(40, lines.Count(line => line.StartsWith("end ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task The_oldest_file_is_removed_also_where_fewer_are_kept_than_before()
    {
        await File.WriteAllTextAsync(Path + ".3", "old\n", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path + ".4", "older\n", TestContext.Current.CancellationToken);
        var sink = Open(maxSize: 100_000, maxFiles: 3);
        for (var i = 0; i < 10; i++)
        {
            _lines.Fill(60, padding: 1000);
            await _lines.WriteAllAsync(sink);
        }

        Assert.Equal([Path, Path + ".1", Path + ".2"], Files());
        var kept = Files().Reverse().SelectMany(File.ReadLines).Select(ExportedLines.NumberOf).OfType<int>().ToList();
        Assert.Equal(Enumerable.Range(600 - kept.Count, kept.Count), kept);
    }

    [Fact]
    public async Task A_rotation_that_was_cut_short_loses_no_file()
    {
        // PATH.1 has become PATH.2, and the process has ended before PATH became PATH.1.
        await File.WriteAllTextAsync(Path + ".3", "a\n", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path + ".2", "b\n", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path, new string('c', 99_999) + "\n", TestContext.Current.CancellationToken);
        var sink = Open(maxSize: 100_000, maxFiles: 4);
        _lines.Fill(1);
        await _lines.WriteAllAsync(sink);

        Assert.Equal(["a", "b", "c", "F"], Files().Reverse().Select(file => File.ReadAllText(file)[..1]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_file_that_another_program_moves_or_removes_is_made_again(bool isMoved)
    {
        var sink = Open();
        _lines.Fill(1);
        await _lines.WriteAllAsync(sink);
        if (isMoved)
        {
            File.Move(Path, Path + ".moved");
        }
        else
        {
            File.Delete(Path);
        }
        _lines.Fill(1);
        await _lines.WriteAllAsync(sink);

        Assert.StartsWith("Flow 1 \n", await ReadAsync(Path), StringComparison.Ordinal);
        Assert.True(!isMoved || (await ReadAsync(Path + ".moved")).StartsWith("Flow 0 \nend", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_that_another_program_empties_has_no_gap()
    {
        var sink = Open();
        _lines.Fill(1);
        await _lines.WriteAllAsync(sink);
        await File.WriteAllTextAsync(Path, "", TestContext.Current.CancellationToken);
        _lines.Fill(1);
        await _lines.WriteAllAsync(sink);

        Assert.StartsWith("Flow 1 \n", await ReadAsync(Path), StringComparison.Ordinal);
    }

    /// <summary>As the last write of a session, which a disk holds up for so long that the next session's sink writes first.</summary>
    [Fact]
    public async Task A_write_that_is_held_up_comes_behind_the_lines_that_another_sink_has_written_meanwhile()
    {
        _lines.Fill(1);
        await _lines.WriteAllAsync(Open());
        var length = new FileInfo(Path).Length;
        var descriptor = Assert.Single(Directory.GetFiles("/proc/self/fd"), link => new FileInfo(link).LinkTarget == Path);
        using var file = new SafeFileHandle(nint.Parse(System.IO.Path.GetFileName(descriptor), CultureInfo.InvariantCulture), ownsHandle: false);

        _lines.Fill(1);
        await _lines.WriteAllAsync(Open());
        RandomAccess.Write(file, "late\n"u8, length);

        Assert.Equal("Flow 0 \nend 1 file 1 8 1 1 0\nFlow 1 \nend 2 file 1 8 2 2 0\nlate\n", await ReadAsync(Path));
    }

    [Fact]
    public async Task A_full_disk_is_a_failure_that_says_what_to_do_and_passes()
    {
        File.CreateSymbolicLink(Path, "/dev/full");
        var sink = Open();
        _lines.Fill(2);
        var batch = _lines[0].TryRead()!;
        for (var i = 0; i < 2; i++)
        {
            var failure = await Assert.ThrowsAsync<SinkException>(() => sink.WriteAsync(batch, TestContext.Current.CancellationToken).AsTask());
            Assert.Equal($"there is no room for {Path}; free some, or lower File:MaxSize or File:MaxFiles", failure.Message);
        }

        File.Delete(Path);
        await sink.WriteAsync(batch, TestContext.Current.CancellationToken);
        Assert.Equal("Flow 0 \nFlow 1 \n", await ReadAsync(Path));
    }

    /// <summary>A file system has a greatest length of files, up to which a write is done in part.</summary>
    [Fact]
    public async Task A_write_that_stops_within_a_line_leaves_whole_lines_and_continues_with_the_next_one()
    {
        using var file = new FileStream(Path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite);
        var length = LongestLength(file) - 22;
        file.SetLength(length + 1);
        RandomAccess.Write(file.SafeFileHandle, "\n"u8, length);
        var sink = Open(maxSize: long.MaxValue);
        _lines.Fill(3);
        var batch = _lines[0].TryRead()!;

        var failure = await Assert.ThrowsAsync<SinkException>(() => sink.WriteAsync(batch, TestContext.Current.CancellationToken).AsTask());
        Assert.Equal($"{Path} is as long as its file system allows; lower File:MaxSize", failure.Message);
        var end = new byte[100];
        Assert.Equal("\nFlow 0 \nFlow 1 \n", Encoding.UTF8.GetString(end, 0, RandomAccess.Read(file.SafeFileHandle, end, length)));

        File.Delete(Path);
        await sink.WriteAsync(batch, TestContext.Current.CancellationToken);
        Assert.Equal("Flow 2 \n", await ReadAsync(Path));
    }

    [Fact]
    public async Task A_directory_that_is_gone_is_a_failure_that_passes()
    {
        var below = System.IO.Path.Combine(_directory, "below");
        var sink = Open(path: System.IO.Path.Combine(below, "flows.json"));
        _lines.Fill(1);
        var batch = _lines[0].TryRead()!;

        var failure = await Assert.ThrowsAsync<SinkException>(() => sink.WriteAsync(batch, TestContext.Current.CancellationToken).AsTask());
        Assert.StartsWith("the directory of ", failure.Message, StringComparison.Ordinal);
        Directory.CreateDirectory(below);
        await sink.WriteAsync(batch, TestContext.Current.CancellationToken);
        Assert.Equal("Flow 0 \n", await ReadAsync(System.IO.Path.Combine(below, "flows.json")));
    }

    [Fact]
    public async Task A_directory_at_the_path_is_a_failure()
    {
        Directory.CreateDirectory(Path);
        _lines.Fill(1);
        var failure = await Assert.ThrowsAsync<SinkException>(() => Open().WriteAsync(_lines[0].TryRead()!, TestContext.Current.CancellationToken).AsTask());
        Assert.StartsWith($"{Path} cannot be written", failure.Message, StringComparison.Ordinal);
    }

    private static long LongestLength(FileStream file)
    {
        var (longest, tooLong) = (0L, long.MaxValue);
        while (longest < tooLong - 1)
        {
            var tried = longest + ((tooLong - longest) / 2);
            try
            {
                file.SetLength(tried);
                longest = tried;
            }
            catch (Exception e) when (e is ArgumentException or IOException or NotSupportedException)
            {
                tooLong = tried;
            }
        }
        return longest;
    }

    private FileSink Open(long maxSize = 100 << 20, int maxFiles = 5, bool syncs = false, string? path = null)
    {
        var sink = new FileSink(new(path ?? Path, maxSize, maxFiles, syncs), _logger);
        _sinks.Add(sink);
        return sink;
    }

    /// <summary>From the newest to the oldest.</summary>
    private string[] Files() => [.. Directory.GetFiles(_directory).OrderBy(file => file == Path ? 0 : int.Parse(file[(Path.Length + 1)..], CultureInfo.InvariantCulture))];

    private static Task<string> ReadAsync(string path) => File.ReadAllTextAsync(path, Encoding.UTF8, TestContext.Current.CancellationToken);
}
