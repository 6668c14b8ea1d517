"""Finds and starts Spark."""

import glob
import os
import subprocess
import sys

ENGINES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "engines")


def prepare():
    """Makes pyspark importable: of spark-submit, of SPARK_HOME, else of scripts/engines. Ends the process with 1 where Spark is missing."""
    if is_submitted():
        return
    if home := os.environ.get("SPARK_HOME"):
        sys.path[:0] = [os.path.join(home, "python"), *glob.glob(os.path.join(home, "python", "lib", "py4j-*.zip"))]
        return
    found = subprocess.run([ENGINES, "spark"], stdout=subprocess.PIPE, text=True)
    if found.returncode != 0:
        sys.exit(1)
    folder = found.stdout.strip()
    sys.path.insert(0, folder)
    os.environ.update(SPARK_HOME=os.path.join(folder, "pyspark"), PYTHONPATH=os.pathsep.join(sys.path))


def is_submitted():
    """Whether spark-submit has started this process."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def start():
    """Starts a session, or joins the one of spark-submit. Without spark-submit it has the cores of this machine."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("podnet-flows")
    if not is_submitted():
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        settings = {
            "spark.master": "local[*]",
            "spark.driver.memory": "2g",
            "spark.sql.shuffle.partitions": 4 * os.cpu_count(),
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }
        builder = builder.config(map=settings)
    return builder.config("spark.sql.session.timeZone", "UTC").config("spark.log.level", "ERROR").getOrCreate()
