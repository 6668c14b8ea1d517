"""Writes the report: each table as Parquet, report.md to read, report.svg to see."""

import os
import sys

from py4j.java_gateway import JavaClass

import picture
import tables
from records import KEPT, rows

ROWS = 20

TITLES = {
    "talkers": "Talkers",
    "pairs": "Pairs",
    "rtt": "Round-trip times, in nanoseconds",
    "failures": "Failed connections",
    "first_contacts": "First contacts after the first day",
    "volume": "Bytes of an hour, and the mean of the same hours of previous days",
}


def write(session, flows, options, counts, detections):
    made = {name: table.persist(KEPT) for name, table in tables.make(flows, options).items()}
    kind = _format(session)
    for name, table in made.items():
        table.write.mode("overwrite").format(kind).save(os.path.join(options.report, name))
    columns = {name: table.columns for name, table in made.items()}
    heads = {name: rows(table.limit(ROWS)) for name, table in made.items()}
    with open(os.path.join(options.report, "report.md"), "w", encoding="utf-8") as file:
        file.write(_text(columns, heads, counts, detections))
    with open(os.path.join(options.report, "report.svg"), "w", encoding="utf-8") as file:
        file.write(picture.draw(heads["talkers"], rows(tables.hours(made["volume"]))))


def _format(session):
    # A name that is not a class is a package.
    if isinstance(session.sparkContext._jvm.org.apache.parquet.hadoop.ParquetWriter, JavaClass):
        return "parquet"
    print("run: this Spark is without Parquet: the report's tables are JSON lines", file=sys.stderr)
    return "json"


def _text(columns, heads, counts, detections):
    """The tables' first rows, as Markdown."""
    parts = ["# Flows", "", ", ".join(f"{count} {name}" for name, count in counts.items()), "", "![Talkers and hours](report.svg)", "", "## Beacons", ""]
    parts += [_table(["source", "workload", "destination", "port", "first", "last", "spread / mean"], [_beacon(detection) for detection in detections[:ROWS]]), ""]
    for name, title in TITLES.items():
        shown = [column for column in columns[name] if column not in ("namespace", "workload", "class")]
        parts += [f"## {title}", "", _table(shown, [[row.get(column) for column in shown] for row in heads[name]]), ""]
    return "\n".join(parts)


def _beacon(detection):
    source, destination, event = detection["source"], detection["destination"], detection["event"]
    names = source.get("k8s", {})
    workload = "/".join(names[kind]["name"] for kind in ("namespace", "workload") if kind in names)
    return source["ip"], workload, destination["ip"], destination["port"], event["start"], event["end"], detection["detection"]["value"]


def _table(columns, lines):
    if not lines:
        return "None."
    cells = [columns, ["--"] * len(columns), *([_cell(value) for value in line] for line in lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _cell(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    # Names come from records.
    return str(value).replace("|", "\\|").replace("\n", " ")
