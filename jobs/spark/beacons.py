"""Beacons: connections of a pod to one endpoint outside at even pauses."""

from pyspark.sql import Window, functions as F

from records import KEPT
from rules import is_allowed

RULE = "beacon"

# Classes that are not outside: of the cluster, its nodes and its own network.
INSIDE = ("pods", "node", "service", "metadata", "private", "multicast")

ENDS = ("source_ip", "destination_ip", "port", "protocol")

TIME = "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"


# Longer pauses than so many medians are times in which calls were missed: by the pod, its node, or the records. A fifth of the pauses may be such.
MISSED = 1.5
MOST_MISSED = 0.2


def find(flows, options):
    """Returns a row for each detection: key, its id; value, its JSON in the shape of a detection."""
    begun = flows.where(F.col("counted") & (F.col("connections") > 0) & ~F.col("destination.class").isin(*INSIDE))
    # Clocks are set (NTP) at even pauses.
    begun = begun.where("source_ip IS NOT NULL AND destination_ip IS NOT NULL AND port IS NOT NULL AND NOT (port = 123 AND protocol <=> 'udp')")
    same = Window.partitionBy(*ENDS)
    is_even = F.col("pause") <= MISSED * F.percentile_approx("pause", 0.5).over(same)
    even = F.when(F.col("is_even"), F.col("pause"))
    found = (
        begun.where(~is_allowed(RULE, options.allow))
        .withColumn("pause", F.unix_millis("start") - F.lag(F.unix_millis("start")).over(same.orderBy("start")))
        .withColumn("is_even", is_even)
        .groupBy(*ENDS)
        .agg(
            F.count("pause").alias("pauses"),
            F.count(even).alias("even"),
            (F.stddev(even) / F.mean(even)).alias("spread"),
            F.min("start").alias("first"),
            F.max("start").alias("last"),
            F.max_by("source", "start").alias("source"),
            F.max_by("destination", "start").alias("destination"),
        )
        .where((F.col("even") >= options.beacon_connections - 1) & (F.col("even") >= (1 - MOST_MISSED) * F.col("pauses")))
        .where(F.col("spread") < options.beacon_spread)
    )
    return found.select(_id().alias("key"), F.to_json(_detection(options.beacon_spread)).alias("value")).orderBy("value").persist(KEPT)


def write(detections, kafka, topic):
    """Writes the detections into a topic, with these options of Kafka's client. One that is found again has the key and the id that it had."""
    detections.write.format("kafka").options(**kafka).option("topic", topic).save()


def _detection(threshold):
    """Fields that are null are not written."""
    return F.struct(
        F.date_format("last", TIME).alias("@timestamp"),
        F.struct(
            _id().alias("id"),
            F.lit("alert").alias("kind"),
            F.lit("podnet.detection").alias("dataset"),
            F.date_format("first", TIME).alias("start"),
            F.date_format("last", TIME).alias("end"),
        ).alias("event"),
        F.struct(F.lit(RULE).alias("name")).alias("rule"),
        F.struct(F.col("source_ip").alias("ip"), *_names("source")).alias("source"),
        F.struct(F.col("destination_ip").alias("ip"), F.col("port"), *_names("destination")).alias("destination"),
        F.struct(F.round("spread", 6).alias("value"), F.lit(threshold).alias("threshold")).alias("detection"),
    )


def _names(side):
    end = F.col(side)
    k8s = F.struct(*(F.when(end[kind].isNotNull(), F.struct(end[kind].alias("name"))).alias(kind) for kind in ("namespace", "pod", "workload")))
    return end["class"].alias("class"), F.when(end["workload"].isNotNull(), k8s).alias("k8s")


def _id():
    """From rule, ends and the hour of the first connection: 128 bits of SHA-256 in base64url, as other ids."""
    hour = F.floor(F.unix_seconds("first") / 3600).cast("string")
    # A port is of TCP where nothing else is said.
    other = F.when(F.col("protocol") != "tcp", F.col("protocol"))
    text = F.concat_ws("|", F.lit(RULE), "source_ip", "destination_ip", F.col("port").cast("string"), other, hour)
    digest = F.unhex(F.substring(F.sha2(text, 256), 1, 32))
    return F.rtrim(F.translate(F.base64(digest), "+/=", "-_ "))
