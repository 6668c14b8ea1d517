namespace Exporter.Verification;

/// <summary>Sentences to be printed: the first ones, and how many there are.</summary>
/// <param name="most">How many are kept.</param>
internal sealed class Findings(int most)
{
    private readonly List<string> _texts = [];

    internal IReadOnlyList<string> Texts => _texts;

    internal long Count { get; private set; }

    internal void Add(string text)
    {
        Count++;
        if (_texts.Count < most)
        {
            _texts.Add(text);
        }
    }
}
