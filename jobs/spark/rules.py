"""Exceptions to rules, as --allow and the rules themselves have them."""

from functools import reduce

from pyspark.sql import functions as F

# Clocks are set by even pauses.
ALWAYS = [("beacon", "port", ("udp", 123))]


def is_allowed(rule, exceptions):
    """Whether a flow is excepted from a rule."""
    conditions = [_condition(kind, value) for of, kind, value in [*ALWAYS, *exceptions] if of in (rule, "*")]
    return reduce(lambda one, other: one | other, conditions, F.lit(False))


def _condition(kind, value):
    if kind == "port":
        protocol, port = value
        is_port = F.col("port") == port
        condition = is_port & (F.col("protocol") == protocol) if protocol else is_port
    elif kind == "address":
        condition = (F.col("source_ip") == value) | (F.col("destination_ip") == value)
    else:
        condition = (F.col("source.name") == value) | (F.col("destination.name") == value)
    return F.coalesce(condition, F.lit(False))
