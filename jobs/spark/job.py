"""Reads flow records in a batch: beacons, and a report. For its arguments: run --help."""

import json
import sys

import arguments
import engine


def main(words):
    options = arguments.parse(words)
    engine.prepare()
    # These need Spark.
    import beacons
    import records
    import report
    import topics

    kafka = {"kafka.bootstrap.servers": options.brokers, **{f"kafka.{name}": value for name, value in options.properties.items()}}
    session = engine.start()
    try:
        if options.brokers:
            topics.require(session, options)
        messages = records.read_files(session, options.files) if options.files else records.read_topic(session, kafka, options.flows)
        read = records.Records(messages, options.begin, options.end)
        detections = beacons.find(read.flows, options)
        found = [row["value"] for row in records.rows(detections)]
        if options.detections:
            beacons.write(detections, kafka, options.detections)
        else:
            print(*found, sep="\n", end="\n" if found else "")
        if options.report:
            report.write(session, read.flows, options, read.counts, [json.loads(detection) for detection in found])
        print(json.dumps({**read.counts, "detections": len(found)}), file=sys.stderr)
    finally:
        session.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
