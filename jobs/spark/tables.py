"""The report's tables. Sums take each conversation once; round-trip times are those of each observer's own pods."""

from pyspark.sql import Window, functions as F

from rules import is_allowed

FAILURES = ("refused", "unanswered", "half_open")

# Several of these.
MIXED = "mixed"


def make(flows, options):
    """Returns the tables by name, each in the order of its interest."""
    counted = flows.where("counted")
    return {
        "talkers": talkers(counted),
        "pairs": pairs(counted),
        "rtt": round_trips(flows),
        "failures": failures(counted),
        "first_contacts": first_contacts(counted, options),
        "volume": volume(counted),
    }


def talkers(counted):
    """Bytes and packets that a workload or class has sent and received, and the connections that it began."""
    return _by_end(counted).groupBy("name", "namespace", "workload", "class").agg(*_sums("bytes_sent", "bytes_received", "packets_sent", "packets_received", "connections")).orderBy(F.desc(F.col("bytes_sent") + F.col("bytes_received")), "name")


def pairs(counted):
    sums = _sums("source_bytes", "source_packets", "destination_bytes", "destination_packets", "connections")
    return counted.groupBy(F.col("source.name").alias("source"), F.col("destination.name").alias("destination")).agg(*sums).orderBy(F.desc(F.col("source_bytes") + F.col("destination_bytes")), "source", "destination")


def round_trips(flows):
    """Percentiles in nanoseconds, by the workload whose sockets measured them."""
    own = F.when(F.col("observer") == "source", F.col("source")).otherwise(F.col("destination"))
    percentiles = [F.percentile_approx("rtt", share, 10_000).alias(f"p{share * 100:.0f}") for share in (0.5, 0.9, 0.99)]
    return flows.where("rtt IS NOT NULL").select(own.alias("own"), "rtt").groupBy("own.name", "own.namespace", "own.workload").agg(F.count("rtt").alias("records"), *percentiles).orderBy(F.desc("p99"), "name")


def failures(counted):
    """Connections that failed, each by its last state: an opening one is known to be unanswered an interval later."""
    connection = ["interface", "source_ip", "source_port", "destination_ip", "port", "protocol", "start"]
    ends = [F.col("source.name").alias("source"), F.col("destination.name").alias("destination")]
    # A record of several connections has no start of its own, and none of another interval continues it.
    several = F.when(~F.col("is_single"), F.col("id")).alias("several")
    # A folded record, of failures alone, has no state where theirs differ.
    states = counted.where("state IS NOT NULL OR is_folded").groupBy(*ends, *connection, several).agg(F.sum("connections").alias("connections"), F.max_by("state", "time").alias("state"))
    counts = [F.round(F.sum(F.when(F.coalesce("state", F.lit(MIXED)) == state, F.col("connections")).otherwise(0))).cast("long").alias(state) for state in (*FAILURES, MIXED)]
    failed = sum((F.col(state) for state in (*FAILURES, MIXED)), F.lit(0))
    return states.groupBy("source", "destination").agg(*_sums("connections"), *counts).where(failed > 0).orderBy(F.desc(failed), "source", "destination")


def first_contacts(counted, options):
    """Answered conversations of two ends on a port that no earlier day of the records has. The first day is what others are compared with."""
    # The first datagram that is seen may be an answer: of these a server's port is the lower one.
    is_tcp = F.col("protocol") == "tcp"
    is_to_server = is_tcp | F.col("source_port").isNull() | (F.col("port") <= F.col("source_port"))
    answered = counted.where((~is_tcp | F.col("state").isin("open", "closed")) & is_to_server & (F.col("destination_packets") > 0) & F.col("port").isNotNull())
    contacts = (
        answered.where(~is_allowed("first_contact", options.allow))
        .groupBy(F.col("source.name").alias("source"), F.col("destination.name").alias("destination"), "port", "protocol")
        .agg(F.min("time").alias("first"), F.max("time").alias("last"), *_sums("connections", "source_bytes", "destination_bytes"))
    )
    first_day = counted.agg(F.to_date(F.min("time")).alias("first_day"))
    return contacts.crossJoin(F.broadcast(first_day)).where(F.to_date("first") > F.col("first_day")).drop("first_day").orderBy("first", "source", "destination", "port")


def volume(counted):
    """Bytes of each hour, and the mean of the same hours of the days before that the workload has."""
    hours = _by_end(counted).groupBy(F.date_trunc("hour", "time").alias("hour"), "name", "namespace", "workload", "class").agg(*_sums("bytes_sent", "bytes_received"))
    before = Window.partitionBy("name", F.hour("hour")).orderBy("hour").rowsBetween(Window.unboundedPreceding, -1)
    return (
        hours.withColumn("days_before", F.count("hour").over(before))
        .withColumn("mean_sent", F.mean("bytes_sent").over(before))
        .withColumn("mean_received", F.mean("bytes_received").over(before))
        .withColumn("ratio", (F.col("bytes_sent") + F.col("bytes_received")) / (F.col("mean_sent") + F.col("mean_received")))
        .orderBy(F.desc_nulls_last("ratio"), F.desc("bytes_sent"), "hour", "name")
    )


def hours(volume):
    """The sums of each hour's volume over all ends."""
    return volume.groupBy("hour").agg(F.sum("bytes_sent").alias("sent"), F.sum("mean_sent").alias("before")).orderBy("hour")


def _by_end(counted):
    """Two rows for each record: what the source sent and received, and what the destination did."""
    def of(side, other, connections):
        return F.struct(
            *(F.col(f"{side}.{name}").alias(name) for name in ("name", "namespace", "workload", "class")),
            F.col(f"{side}_bytes").alias("bytes_sent"),
            F.col(f"{other}_bytes").alias("bytes_received"),
            F.col(f"{side}_packets").alias("packets_sent"),
            F.col(f"{other}_packets").alias("packets_received"),
            connections.alias("connections"),
        )

    both = F.array(of("source", "destination", F.col("connections")), of("destination", "source", F.lit(0.0)))
    return counted.select("time", F.explode(both).alias("end")).select("time", "end.*")


def _sums(*names):
    # Weights are fractions.
    return [F.round(F.sum(name)).cast("long").alias(name) for name in names]
