using System.Text;
using System.Text.Json;

namespace Exporter.Export.Elasticsearch;

/// <summary>Reads the items of the answer to a bulk, in the order of the request, without allocating for those that were taken.</summary>
internal ref struct BulkAnswer
{
    /// <summary>The parts of an answer that are asked for: the rest of it is longer than the records' ids.</summary>
    internal const string Filter = "filter_path=errors,error,items.*.status,items.*.failure_store,items.*.error.type,items.*.error.reason";

    private Utf8JsonReader _reader;
    private Utf8JsonReader _type;
    private Utf8JsonReader _reason;
    private bool _isOpen;

    /// <exception cref="JsonException">It is not JSON.</exception>
    internal BulkAnswer(ReadOnlySpan<byte> json)
    {
        _reader = new(json);
        if (!_reader.Read() || _reader.TokenType != JsonTokenType.StartObject)
        {
            return;
        }
        while (!_isOpen && _reader.Read() && _reader.TokenType == JsonTokenType.PropertyName)
        {
            var isItems = _reader.ValueTextEquals("items"u8);
            _isOpen = _reader.Read() && isItems && _reader.TokenType == JsonTokenType.StartArray;
            if (!_isOpen)
            {
                _reader.Skip();
            }
        }
    }

    /// <summary>The status of the item as of HTTP; 0: it has none.</summary>
    internal int Status { get; private set; }

    /// <summary>Whether the record is in a failure store instead of its index (Elasticsearch 8.19 and later).</summary>
    internal bool IsInFailureStore { get; private set; }

    /// <summary>The type of the item's error; empty: it has none.</summary>
    internal readonly string Type => TextOf(_type);

    /// <summary>The reason of the item's error; empty: it has none.</summary>
    internal readonly string Reason => TextOf(_reason);

    /// <summary>Reads the next item.</summary>
    /// <exception cref="JsonException">The answer is cut off, or is not JSON.</exception>
    internal bool MoveNext()
    {
        if (!_isOpen || !_reader.Read() || _reader.TokenType != JsonTokenType.StartObject)
        {
            _isOpen = false;
            return false;
        }
        (Status, IsInFailureStore) = (0, false);
        _type = default;
        _reason = default;
        while (_reader.Read() && _reader.TokenType == JsonTokenType.PropertyName)
        {
            _reader.Read();
            if (_reader.TokenType == JsonTokenType.StartObject)
            {
                ReadAction();
            }
            else
            {
                _reader.Skip();
            }
        }
        return true;
    }

    private static string TextOf(in Utf8JsonReader token)
    {
        try
        {
            return token.TokenType == JsonTokenType.String ? token.GetString()! : "";
        }
        catch (InvalidOperationException)
        {
            // Not UTF-8, or half of a pair.
            return Encoding.UTF8.GetString(token.ValueSpan);
        }
    }

    private void ReadAction()
    {
        while (_reader.Read() && _reader.TokenType == JsonTokenType.PropertyName)
        {
            var isStatus = _reader.ValueTextEquals("status"u8);
            var isStore = _reader.ValueTextEquals("failure_store"u8);
            var isError = _reader.ValueTextEquals("error"u8);
            _reader.Read();
            if (isStatus && _reader.TokenType == JsonTokenType.Number && _reader.TryGetInt32(out var status))
            {
                Status = status;
            }
            IsInFailureStore |= isStore && _reader.TokenType == JsonTokenType.String && _reader.ValueTextEquals("used"u8);
            if (isError && _reader.TokenType == JsonTokenType.StartObject)
            {
                ReadError();
            }
            else
            {
                _reader.Skip();
            }
        }
    }

    private void ReadError()
    {
        while (_reader.Read() && _reader.TokenType == JsonTokenType.PropertyName)
        {
            var isType = _reader.ValueTextEquals("type"u8);
            var isReason = _reader.ValueTextEquals("reason"u8);
            _reader.Read();
            _type = isType ? _reader : _type;
            _reason = isReason ? _reader : _reason;
            _reader.Skip();
        }
    }
}
