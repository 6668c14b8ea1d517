"""Draws the report's picture: the largest talkers, and bytes by the hour beside the mean of previous days."""

from xml.sax.saxutils import escape

WIDTH, ROW, MARGIN, NAMES = 960, 22, 24, 220
SENT, RECEIVED, BEFORE = "#3b6ea8", "#9fc1e3", "#c2571a"
CHART = 200


def draw(talkers, hours):
    """Returns SVG of rows of tables.talkers and of tables.hours."""
    parts = []
    y = _draw_talkers(parts, talkers, MARGIN + 16)
    y = _draw_hours(parts, hours, y + 2 * MARGIN)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + MARGIN}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{y + MARGIN}" fill="white"/>', *parts, "</svg>", ""])


def _draw_talkers(parts, talkers, y):
    parts.append(_text(MARGIN, y, "Bytes sent (dark) and received (light)", weight="bold"))
    most = max((row["bytes_sent"] + row["bytes_received"] for row in talkers), default=0) or 1
    room = WIDTH - NAMES - 2 * MARGIN - 80
    for row in talkers:
        y += ROW
        sent, received = (room * row[column] / most for column in ("bytes_sent", "bytes_received"))
        parts.append(_text(NAMES + MARGIN - 8, y, row["name"], anchor="end"))
        parts.append(_bar(NAMES + MARGIN, y - 12, sent, 15, SENT))
        parts.append(_bar(NAMES + MARGIN + sent, y - 12, received, 15, RECEIVED))
        parts.append(_text(NAMES + MARGIN + sent + received + 6, y, _bytes(row["bytes_sent"] + row["bytes_received"])))
    return y


def _draw_hours(parts, hours, y):
    parts.append(_text(MARGIN, y, "Bytes of each hour, and the mean of the same hours of previous days (line)", weight="bold"))
    top, bottom = y + 12, y + 12 + CHART
    most = max((max(row["sent"], row.get("before", 0)) for row in hours), default=0) or 1
    step = (WIDTH - 2 * MARGIN) / max(1, len(hours))
    for number, row in enumerate(hours):
        x = MARGIN + number * step
        height = CHART * row["sent"] / most
        # As 2026-11-28T10:00:00.000Z.
        day, hour = row["hour"][:10], row["hour"][11:16]
        parts.append(_bar(x, bottom - height, max(1, step - 2), height, SENT, f"{day} {hour}: {_bytes(row['sent'])}"))
        if "before" in row:
            level = bottom - CHART * row["before"] / most
            parts.append(f'<line x1="{x:.1f}" y1="{level:.1f}" x2="{x + step - 2:.1f}" y2="{level:.1f}" stroke="{BEFORE}" stroke-width="2"/>')
        # Labels need room.
        if number % max(1, round(60 / step)) == 0:
            parts.append(_text(x, bottom + 16, f"{day[5:]} {hour}"))
    parts.append(_text(WIDTH - MARGIN, top, _bytes(most), anchor="end"))
    return bottom + 16


def _bar(x, y, width, height, color, title=""):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}"><title>{escape(title)}</title></rect>'


def _text(x, y, text, anchor="start", weight="normal"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'


def _bytes(count):
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.3g} {unit}"
        count /= 1000
