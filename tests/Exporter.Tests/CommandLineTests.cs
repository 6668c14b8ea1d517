using Exporter.Options;

namespace Exporter.Tests;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData("run", "")]
    [InlineData("run", "run")]
    [InlineData("check", "check")]
    [InlineData("help", "help")]
    [InlineData("help", "--help")]
    [InlineData("help", "-h")]
    [InlineData("help", "run --help")]
    [InlineData("help", "--Drain:Interval --help")]
    [InlineData("version", "version")]
    [InlineData("version", "--version")]
    [InlineData("dance", "dance")]
    [InlineData("run", "--Drain:Interval=00:00:02")]
    [InlineData("check", "check --Drain:Interval=00:00:02")]
    [InlineData("help", "--help --Drain:Interval=00:00:02")]
    public void The_command_comes_first(string command, string typed)
    {
        var commandLine = Parse(typed);

        Assert.Equal(command, commandLine.Command);
        Assert.Empty(commandLine.Errors);
    }

    [Theory]
    [InlineData("--Drain:Interval=00:00:02")]
    [InlineData("--Drain:Interval 00:00:02")]
    [InlineData("--drain:interval=00:00:02")]
    [InlineData("run --Drain:Interval=00:00:02")]
    [InlineData("check --Drain:Interval 00:00:02")]
    [InlineData("--Drain:Interval=00:00:09 --Drain:Interval=00:00:02")]
    public void An_option_is_read(string typed)
    {
        var commandLine = Parse(typed);

        Assert.Empty(commandLine.Errors);
        Assert.Equal("Drain:Interval", Assert.Single(commandLine.Options).Key, ignoreCase: true);
        Assert.Equal("00:00:02", commandLine.Options["Drain:Interval"]);
    }

    [Theory]
    [InlineData("--Attach:Include=", "")]
    [InlineData("--Attach:Include=a=b", "a=b")]
    [InlineData("--Attach:Include -x", "-x")]
    [InlineData("--Attach:Include=--x", "--x")]
    public void A_value_may_be_empty_or_contain_signs(string typed, string value)
    {
        var commandLine = Parse(typed);

        Assert.Empty(commandLine.Errors);
        Assert.Equal(value, commandLine.Options["Attach:Include"]);
    }

    [Fact]
    public void Several_options_are_read_in_both_forms()
    {
        var commandLine = Parse("run --A=1 --B 2 --C=3");

        Assert.Empty(commandLine.Errors);
        Assert.Equal([("A", "1"), ("B", "2"), ("C", "3")], commandLine.Options.Select(option => (option.Key, option.Value!)).Order());
    }

    [Theory]
    [InlineData("--Drain:Interval")]
    [InlineData("--Drain:Interval --Attach:Hook=tcx")]
    [InlineData("run --Attach:Hook=tcx --Drain:Interval")]
    public void A_missing_value_is_named_with_its_key(string typed)
    {
        var commandLine = Parse(typed);

        Assert.StartsWith("Drain:Interval: has no value", Assert.Single(commandLine.Errors), StringComparison.Ordinal);
        Assert.False(commandLine.Options.ContainsKey("Drain:Interval"));
    }

    [Theory]
    [InlineData("run dance")]
    [InlineData("--Attach:Hook=tcx dance")]
    [InlineData("--Attach:Hook tcx dance")]
    public void A_stray_word_is_named(string typed) =>
        Assert.StartsWith("dance: not understood", Assert.Single(Parse(typed).Errors), StringComparison.Ordinal);

    [Fact]
    public void A_single_dash_is_no_option() =>
        Assert.StartsWith("-Drain:Interval=00:00:02: not understood", Assert.Single(Parse("-Drain:Interval=00:00:02").Errors), StringComparison.Ordinal);

    [Fact]
    public void Everything_that_is_not_understood_is_said_at_once() => Assert.Equal(3, Parse("run one two --Three").Errors.Count);

    [Theory]
    [InlineData("uninstall", false, 0)]
    [InlineData("uninstall --all", true, 0)]
    [InlineData("uninstall --all --Bpf:PinDirectory=/sys/fs/bpf/x", true, 0)]
    [InlineData("uninstall --Bpf:PinDirectory /sys/fs/bpf/x --all", true, 0)]
    [InlineData("run --all", false, 1)]
    [InlineData("options --all", false, 1)]
    [InlineData("options", false, 0)]
    [InlineData("options --schema", true, 0)]
    [InlineData("uninstall --schema", false, 1)]
    public void A_flag_belongs_to_its_command(string typed, bool isFlagged, int errors)
    {
        var commandLine = Parse(typed);

        Assert.Equal(isFlagged, commandLine.IsFlagged);
        Assert.Equal(errors, commandLine.Errors.Count);
    }

    [Theory]
    [InlineData("uninstall", 0, 0)]
    [InlineData("uninstall --stay=30", 30, 0)]
    [InlineData("uninstall --all --stay 86400 --Bpf:PinDirectory=/sys/fs/bpf/x", 86400, 0)]
    [InlineData("uninstall --stay=86401", 0, 1)]
    [InlineData("uninstall --stay=-1", 0, 1)]
    [InlineData("uninstall --stay=soon", 0, 1)]
    [InlineData("uninstall --stay=", 0, 1)]
    [InlineData("uninstall --stay", 0, 1)]
    public void Uninstall_can_stay_for_some_seconds(string typed, int seconds, int errors)
    {
        var commandLine = Parse(typed);

        Assert.Equal(TimeSpan.FromSeconds(seconds), commandLine.Stay);
        Assert.Equal(errors, commandLine.Errors.Count);
        Assert.DoesNotContain("stay", commandLine.Options.Keys);
    }

    private static CommandLine Parse(string typed) => CommandLine.Parse(typed.Split(' ', StringSplitOptions.RemoveEmptyEntries));
}
