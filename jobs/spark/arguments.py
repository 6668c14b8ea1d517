"""The job's arguments: each is checked before Spark starts, and an error names the argument and a remedy."""

import argparse
import glob
import ipaddress
import os
import re
from datetime import datetime, timezone

# Those with ends.
RULES = ("port_scan", "host_scan", "slow_scan", "syn_flood", "exfiltration", "first_contact", "beacon")

DESCRIPTION = """Reads flow records of a Kafka topic or of files, finds beacons, and reports talkers, pairs, round-trip times,
failures, first contacts and volume against the same hours of previous days. Without --detections, detections go to standard
output, a JSON line each."""


def parse(words):
    """Returns the arguments; ends the process with 2 and a message where one is wrong."""
    parser = argparse.ArgumentParser(prog="run", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--brokers", metavar="HOST:PORT[,...]", type=_brokers, help="Kafka's brokers")
    parser.add_argument("--flows", metavar="TOPIC", type=_topic, help="topic with the records (podnet.flows)")
    parser.add_argument("--files", metavar="GLOB", type=_files, help="files with the records, as the file sink writes them; .gz too")
    parser.add_argument("--from", dest="begin", metavar="TIME", type=_time, help="records from this time on, as 2026-11-28T10:00:00Z")
    parser.add_argument("--to", dest="end", metavar="TIME", type=_time, help="records before this time")
    parser.add_argument("--detections", metavar="TOPIC", type=_topic, help="topic that detections are written to")
    parser.add_argument("--report", metavar="DIR", type=_directory, help="directory that the report is written into")
    parser.add_argument("--allow", metavar="FILE", type=_allow, default=[], help="exceptions, a line each: RULE (or *), and a workload, an address or a port")
    parser.add_argument("--properties", metavar="FILE", type=_properties, default={}, help="properties of Kafka's Java client, such as security.protocol")
    parser.add_argument("--beacon-connections", metavar="N", type=_at_least(3), default=8, help="a beacon has at least so many connections (8)")
    parser.add_argument("--beacon-spread", metavar="X", type=_fraction, default=0.1, help="spread of a beacon's pauses, divided by their mean, is below this (0.1)")
    options = parser.parse_args(words)
    if not options.brokers and not options.files:
        parser.error("argument --brokers or --files is missing: give one of them")
    if options.flows and options.files:
        parser.error("argument --flows: it is a topic, and --files is given too; leave one of them away")
    if options.detections and not options.brokers:
        parser.error("argument --detections: the topic needs brokers; give --brokers=HOST:PORT too")
    if options.properties and not options.brokers:
        parser.error("argument --properties: they are of Kafka's client; give --brokers=HOST:PORT too")
    if options.begin and options.end and options.begin >= options.end:
        parser.error(f"argument --to: {options.end:%Y-%m-%dT%H:%M:%SZ} is not after --from; give a later time")
    options.flows = options.flows or "podnet.flows"
    return options


def _brokers(text):
    for broker in text.split(","):
        host, _, port = broker.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise argparse.ArgumentTypeError(f"'{broker}' is not HOST:PORT; write it as kafka.example:9092")
    return text


def _topic(text):
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", text):
        raise argparse.ArgumentTypeError(f"'{text}' cannot be a topic: use letters, digits, '.', '_' and '-'")
    return text


def _files(text):
    # Spark asks other file systems itself.
    if "://" not in text and not glob.glob(text):
        raise argparse.ArgumentTypeError(f"no file matches '{text}'; give the path of a file, or a pattern in quotes")
    return text


def _time(text):
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time; write it as 2026-11-28T10:00:00Z") from None
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


def _directory(text):
    try:
        os.makedirs(text, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"'{text}' cannot be made: {error.strerror}; give a directory that can be written") from None
    if not os.access(text, os.W_OK):
        raise argparse.ArgumentTypeError(f"'{text}' cannot be written; give a directory that can")
    return text


def _at_least(least):
    def number(text):
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number of at least {least}")
        return int(text)

    return number


def _fraction(text):
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number between 0 and 1")
    return value


def _lines(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"'{path}' cannot be read: {error}; give a text file") from None


def _allow(path):
    """Returns the exceptions of a file as (rule, kind, value); kind is workload, address, or port, whose value is (protocol or None, port)."""
    exceptions = []
    for number, line in enumerate(_lines(path), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            rule, *kinds, value = words
            if (rule != "*" and rule not in RULES) or len(kinds) > 1:
                raise ValueError
            kind = kinds[0] if kinds else _kind(value)
            exceptions.append((rule, kind, _value(kind, value)))
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{path}:{number}: '{line.strip()}' is not a rule (or *), and a workload, an address or a port; write it as 'beacon shop/web', 'beacon 203.0.113.7' or '* udp/514'"
            ) from None
    return exceptions


PORT = re.compile(r"(?:(tcp|udp)/)?([0-9]{1,5})")


def _kind(text):
    return "port" if PORT.fullmatch(text) else "workload" if "/" in text else "address"


def _value(kind, text):
    if kind == "workload" and re.fullmatch(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", text):
        return text
    if kind == "address":
        return str(ipaddress.ip_address(text))
    if kind == "port" and (port := PORT.fullmatch(text)) and 0 < int(port[2]) < 65536:
        return port[1], int(port[2])
    raise ValueError


def _properties(path):
    """Returns the properties of a file, as java.util.Properties reads it."""
    properties, whole = {}, ""
    # Such a file has an escape for each letter that Latin-1 does not have.
    for line in _lines(path):
        whole += line.lstrip()
        if not whole or whole[0] in "#!":
            whole = ""
        elif re.search(r"(?<!\\)(?:\\\\)*\\$", whole):
            # It continues on the next line.
            whole = whole[:-1]
        else:
            name, value = re.fullmatch(r"((?:[^\\=:\s]|\\.)*)\s*[=:]?\s*(.*)", whole).groups()
            properties[_unescape(name)] = _unescape(value).strip()
            whole = ""
    return properties


def _unescape(text):
    special = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
    return re.sub(r"\\(?:u([0-9A-Fa-f]{4})|(.))", lambda found: chr(int(found[1], 16)) if found[1] else special.get(found[2], found[2]), text)
