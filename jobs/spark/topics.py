"""Asks the brokers for the job's topics before anything is read."""

import sys

from py4j.protocol import Py4JJavaError

ANSWER_WITHIN_MS = 30_000


def require(session, options):
    """Ends the process with a message where the brokers do not answer, or do not have a topic."""
    names = _names(session, options)
    wanted = {"--flows": None if options.files else options.flows, "--detections": options.detections}
    for argument, topic in wanted.items():
        if topic and topic not in names:
            print(f"run: error: argument {argument}: {options.brokers} has no topic '{topic}'; make it with 'podnet-exporter flows install --to=kafka', or name another", file=sys.stderr)
            sys.exit(2)


def _names(session, options):
    jvm = session.sparkContext._jvm
    properties = jvm.java.util.Properties()
    for name, value in options.properties.items():
        properties.put(name, value)
    properties.put("bootstrap.servers", options.brokers)
    for name in ("request.timeout.ms", "default.api.timeout.ms"):
        properties.put(name, str(ANSWER_WITHIN_MS))
    try:
        client = jvm.org.apache.kafka.clients.admin.AdminClient.create(properties)
        try:
            return set(client.listTopics().names().get())
        finally:
            client.close()
    except Py4JJavaError as error:
        cause = error.java_exception.getCause() or error.java_exception
        print(f"run: error: argument --brokers: {options.brokers} does not answer within {ANSWER_WITHIN_MS // 1000} s ({cause.getMessage()}); give brokers that can be reached from here, and with --properties what they ask of clients", file=sys.stderr)
        sys.exit(1)
