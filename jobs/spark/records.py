"""Reads messages of a topic or of files as records: each once, flat, and with a count of those that are not records."""

import json
import os
import warnings

from pyspark import StorageLevel
from pyspark.sql import Window, functions as F

FLOW, IDENTITY = "podnet.flow", "podnet.identity"
DATASETS = (FLOW, "podnet.rest", "podnet.interval", IDENTITY)

SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schema.sql")

# Rows that do not fit are made again, from the shuffle's files.
KEPT = StorageLevel.MEMORY_ONLY

# from_json puts the text of a message here that is not as the schema says.
CORRUPT = "_corrupt_record"


class Records:
    """The records of a run.

    flows: a row for each flow record, with both ends named, counts weighted by 1 / sampling.probability, and `counted`: whether a sum takes it.
    counts: how many messages were records of each kind, repeats, broken, and of unknown datasets.
    """

    def __init__(self, messages, begin=None, end=None):
        with open(SCHEMA, encoding="utf-8") as file:
            schema = f"{file.read()},\n`{CORRUPT}` STRING"
        parsed = messages.select(F.from_json("value", schema, {"columnNameOfCorruptRecord": CORRUPT}).alias("record")).select("record.*")
        flat = parsed.withColumn("kind", _kind()).select(*_columns())
        # A repeat has the same id. Nothing else is compared, and nothing is looked at before. Messages that are not records have no id, and become one row.
        values = [column for column in flat.columns if column not in ("kind", "id")]
        unique = flat.groupBy("kind", "id").agg(F.count("*").alias("copies"), F.first(F.struct(*values)).alias("record")).select("kind", "id", "copies", "record.*").persist(KEPT)
        self.counts = _count(unique)
        flows = unique.where(F.col("kind") == FLOW)
        if begin:
            flows = flows.where(F.col("time") >= F.lit(begin))
        if end:
            flows = flows.where(F.col("time") < F.lit(end))
        self.flows = _name_ends(flows, _owners(unique.where(F.col("kind") == IDENTITY))).persist(KEPT)


def rows(table):
    """A table's rows as dictionaries, without what is null. Times are text."""
    with warnings.catch_warnings():
        # toJSON returns strings, and rows of one string in later versions.
        warnings.simplefilter("ignore", UserWarning)
        lines = table.toJSON().collect()
    return [json.loads(line if isinstance(line, str) else line[0]) for line in lines]


def read_files(session, pattern):
    return session.read.option("lineSep", "\n").text(pattern)


def read_topic(session, kafka, topic):
    """Reads a topic with these options of Kafka's client."""
    # Records may be deleted, by the topic's retention, while they are read.
    options = {**kafka, "subscribe": topic, "startingOffsets": "earliest", "endingOffsets": "latest", "failOnDataLoss": "false"}
    return session.read.format("kafka").options(**options).load().select(F.col("value").cast("string").alias("value"))


def _count(unique):
    found = {row["kind"]: row for row in rows(unique.groupBy("kind").agg(F.count("*").alias("unique"), F.sum("copies").alias("all")))}
    records = {dataset.removeprefix("podnet."): found.get(dataset, {}).get("unique", 0) for dataset in DATASETS}
    messages = sum(row["all"] for row in found.values())
    unknown, broken = (found.get(kind, {}).get("all", 0) for kind in ("unknown", "broken"))
    return {"messages": messages, **records, "repeats": messages - sum(records.values()) - unknown - broken, "unknown": unknown, "broken": broken}


def _kind():
    """broken, unknown, or the record's dataset."""
    is_whole = F.col(CORRUPT).isNull() & F.col("event.id").isNotNull() & F.col("event.dataset").isNotNull() & F.col("@timestamp").isNotNull()
    return F.when(~is_whole, "broken").when(~F.col("event.dataset").isin(*DATASETS), "unknown").otherwise(F.col("event.dataset"))


def _columns():
    """The fields that the job needs, of flows and identities."""
    probability = F.col("sampling.probability")
    weight = F.when((probability > 0) & (probability < 1), 1 / probability).otherwise(1.0)
    yield from (
        F.col("kind"),
        F.when(F.col("kind").isin(*DATASETS), F.col("event.id")).alias("id"),
        F.col("@timestamp").alias("time"),
        # A record of several flows has no flow.start.
        F.coalesce("flow.start", "event.start", "@timestamp").alias("start"),
        F.coalesce("event.end", "@timestamp").alias("last"),
        F.coalesce("network.transport", F.col("network.iana_number").cast("string")).alias("protocol"),
        F.col("flow.observer").alias("observer"),
        F.col("flow.state").alias("state"),
        F.col("flow.start").isNotNull().alias("is_single"),
        F.coalesce("flow.distinct.ports", "flow.distinct.hosts", "flow.distinct.sources").isNotNull().alias("is_folded"),
        F.col("observer.interface.id").alias("interface"),
        F.col("tcp.rtt.smoothed").alias("rtt"),
        (F.coalesce("flow.connections", F.lit(0)) * weight).alias("connections"),
        ((F.col("flow.observer") == "source") | (F.col("source.class") != "pods")).alias("counted"),
        F.col("source.port").alias("source_port"),
        F.coalesce("destination.nat.port", "destination.port").alias("port"),
        F.coalesce("identity.from", "@timestamp").alias("owned_from"),
        F.col("identity.ip").alias("owned_ip"),
        F.struct(F.col("k8s.namespace.name").alias("namespace"), F.coalesce("k8s.workload.name", "k8s.pod.name").alias("workload"), F.col("k8s.pod.name").alias("pod")).alias("owner"),
    )
    for side in ("source", "destination"):
        names = f"{side}.k8s"
        yield F.coalesce(f"{side}.nat.ip", f"{side}.ip").alias(f"{side}_ip")
        yield F.col(f"{side}.class").alias(f"{side}_class")
        yield F.struct(F.col(f"{names}.namespace.name").alias("namespace"), F.coalesce(f"{names}.workload.name", f"{names}.pod.name").alias("workload"), F.col(f"{names}.pod.name").alias("pod")).alias(f"{side}_own")
        yield (F.coalesce(f"{side}.bytes", F.lit(0)) * weight).alias(f"{side}_bytes")
        yield (F.coalesce(f"{side}.packets", F.lit(0)) * weight).alias(f"{side}_packets")


def _owners(identities):
    """The owner of each address from a time until another one has it."""
    announced = Window.partitionBy("owned_ip").orderBy("owned_from", "time")
    changed = (
        identities.where(F.col("owned_ip").isNotNull() & F.col("owner.workload").isNotNull())
        .withColumn("before", F.lag("owner").over(announced))
        .where(F.col("before").isNull() | (F.col("before") != F.col("owner")))
    )
    return changed.select("owned_ip", "owner", "owned_from", F.lead("owned_from").over(announced).alias("owned_until"))


def _name_ends(flows, owners):
    """Adds source and destination: namespace, workload and pod, or the class of an end that is not a pod."""
    for side in ("source", "destination"):
        owned = owners.select(*(F.col(name).alias(f"{side}_{name}") for name in owners.columns))
        needs_owner = F.col(f"{side}_own.workload").isNull() & F.col(f"{side}_class").isin("pods", "service")
        is_owner = (
            needs_owner
            & (F.col(f"{side}_ip") == F.col(f"{side}_owned_ip"))
            & (F.col("last") >= F.col(f"{side}_owned_from"))
            & (F.col(f"{side}_owned_until").isNull() | (F.col("last") < F.col(f"{side}_owned_until")))
        )
        flows = flows.join(F.broadcast(owned), is_owner, "left")
        pod = F.when(F.col(f"{side}_own.workload").isNotNull(), F.col(f"{side}_own")).otherwise(F.col(f"{side}_owner"))
        kind = F.when(pod.isNull(), F.coalesce(f"{side}_class", F.lit("unknown")))
        name = F.when(pod.isNotNull(), F.concat_ws("/", pod["namespace"], pod["workload"])).otherwise(kind)
        flows = flows.withColumn(side, F.struct(name.alias("name"), pod["namespace"].alias("namespace"), pod["workload"].alias("workload"), pod["pod"].alias("pod"), kind.alias("class")))
    return flows.drop(*(f"{side}_{name}" for side in ("source", "destination") for name in (*owners.columns, "own")), *owners.columns[:2], "owned_from")
