"""Exceptions to rules, as --allow has them."""

from functools import reduce

from pyspark.sql import functions as F

def is_allowed(rule, exceptions):
    """Whether a flow is excepted from a rule."""
    conditions = [_condition(kind, value) for of, kind, value in exceptions if of in (rule, "*")]
    return reduce(lambda one, other: one | other, conditions, F.lit(False))


def _condition(kind, value):
    if kind == "port":
        protocol, port = value
        condition = (F.col("port") == port) & (F.lit(protocol is None) | (F.col("protocol") == protocol))
    elif kind == "address":
        condition = (F.col("source_ip") == value) | (F.col("destination_ip") == value)
    else:
        condition = (F.col("source.name") == value) | (F.col("destination.name") == value)
    return F.coalesce(condition, F.lit(False))
