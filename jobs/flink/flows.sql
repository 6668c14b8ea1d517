-- A repeat of a record has the same event.id. The watermark is of the earlier one of the node's clock and the broker's, so a node whose clock is ahead makes no other's
-- records late; the topic needs message.timestamp.type=LogAppendTime.
CREATE TABLE `flows` (
  `@timestamp` TIMESTAMP_LTZ(3),
  `event` ROW<`id` STRING, `dataset` STRING, `start` TIMESTAMP_LTZ(3), `end` TIMESTAMP_LTZ(3), `duration` BIGINT>,
  `network` ROW<`type` STRING, `transport` STRING, `iana_number` BIGINT, `community_id` STRING>,
  `rest` ROW<`reason` STRING, `direction` STRING, `bytes` BIGINT, `packets` BIGINT>,
  `source` ROW<`ip` STRING, `port` BIGINT, `bytes` BIGINT, `packets` BIGINT, `segments` BIGINT, `class` STRING, `nat` ROW<`ip` STRING, `port` BIGINT>, `k8s` ROW<`namespace` ROW<`name` STRING>, `pod` ROW<`name` STRING>, `workload` ROW<`name` STRING, `kind` STRING>, `service` ROW<`name` STRING>>>,
  `destination` ROW<`ip` STRING, `port` BIGINT, `bytes` BIGINT, `packets` BIGINT, `segments` BIGINT, `class` STRING, `nat` ROW<`ip` STRING, `port` BIGINT>, `k8s` ROW<`namespace` ROW<`name` STRING>, `pod` ROW<`name` STRING>, `workload` ROW<`name` STRING, `kind` STRING>, `service` ROW<`name` STRING>>>,
  `tcp` ROW<`flags` ROW<`source` ARRAY<STRING>, `destination` ARRAY<STRING>>, `syn` ROW<`count` BIGINT>, `rst` ROW<`count` BIGINT>, `rtt` ROW<`smoothed` BIGINT, `min` BIGINT>, `retransmits` BIGINT>,
  `icmp` ROW<`type` BIGINT, `code` BIGINT>,
  `flow` ROW<`observer` STRING, `orientation` STRING, `state` STRING, `end_reason` STRING, `connections` BIGINT, `start` TIMESTAMP_LTZ(3), `distinct` ROW<`ports` BIGINT, `hosts` BIGINT, `sources` BIGINT>, `examples` ROW<`ports` ARRAY<BIGINT>, `hosts` ARRAY<STRING>, `sources` ARRAY<STRING>>>,
  `sampling` ROW<`probability` DOUBLE>,
  `interval` ROW<`records` BIGINT, `bytes` BIGINT, `issued` BIGINT, `acknowledged` BIGINT, `lost` BIGINT>,
  `identity` ROW<`ip` STRING, `from` TIMESTAMP_LTZ(3)>,
  `observer` ROW<`epoch` STRING, `interval` BIGINT, `sequence` BIGINT, `interface` ROW<`name` STRING, `id` STRING>>,
  `k8s` ROW<`namespace` ROW<`name` STRING>, `pod` ROW<`name` STRING, `uid` STRING>, `workload` ROW<`name` STRING, `kind` STRING>, `node` ROW<`name` STRING>, `cluster` ROW<`name` STRING>>,
  `podnet` ROW<`schema` BIGINT>,
  `appended` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  WATERMARK FOR `@timestamp` AS LEAST(`@timestamp`, `appended`) - INTERVAL '2' MINUTE
) WITH (
  'connector' = 'kafka',
  'topic' = 'podnet.flows',
  'properties.bootstrap.servers' = 'localhost:9092',
  'properties.group.id' = 'podnet',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601',
  'json.ignore-parse-errors' = 'true'
);
