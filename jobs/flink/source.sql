-- The topic of records: of the columns that `podnet-exporter flows schema --for=flink` prints those that the job reads. Times that are only shown are read as the
-- texts that they are.

CREATE TABLE `records` (
  `@timestamp` TIMESTAMP_LTZ(3),
  `event` ROW<`id` STRING, `dataset` STRING, `start` STRING, `end` STRING>,
  `network` ROW<`transport` STRING>,
  `source` ROW<`ip` STRING, `port` BIGINT, `bytes` BIGINT, `packets` BIGINT, `class` STRING, `nat` ROW<`ip` STRING>, `k8s` ROW<`namespace` ROW<`name` STRING>, `pod` ROW<`name` STRING>, `workload` ROW<`name` STRING>>>,
  `destination` ROW<`ip` STRING, `port` BIGINT, `bytes` BIGINT, `packets` BIGINT, `class` STRING, `nat` ROW<`ip` STRING, `port` BIGINT>, `k8s` ROW<`namespace` ROW<`name` STRING>, `pod` ROW<`name` STRING>, `workload` ROW<`name` STRING>>>,
  `tcp` ROW<`flags` ROW<`destination` ARRAY<STRING>>, `syn` ROW<`count` BIGINT>, `rtt` ROW<`smoothed` BIGINT>>,
  `flow` ROW<`observer` STRING, `state` STRING, `end_reason` STRING, `connections` BIGINT, `start` STRING, `distinct` ROW<`ports` BIGINT, `hosts` BIGINT, `sources` BIGINT>, `examples` ROW<`ports` ARRAY<BIGINT>, `hosts` ARRAY<STRING>>>,
  `sampling` ROW<`probability` DOUBLE>,
  `interval` ROW<`records` BIGINT>,
  `identity` ROW<`ip` STRING>,
  `observer` ROW<`epoch` STRING, `interval` BIGINT>,
  `k8s` ROW<`namespace` ROW<`name` STRING>, `pod` ROW<`name` STRING>, `workload` ROW<`name` STRING>, `node` ROW<`name` STRING>>,
  `appended` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  `partition` INT METADATA VIRTUAL,
  `offset` BIGINT METADATA VIRTUAL,
  `time` AS COALESCE(`@timestamp`, `appended`),
  WATERMARK FOR `time` AS LEAST(`@timestamp`, `appended`) - ${lateness}
) WITH (
  'connector' = 'kafka',
  'topic' = '${flows}',
  'properties.bootstrap.servers' = '${brokers}',${properties}
  'properties.group.id' = '${group}',
  'scan.startup.mode' = 'earliest-offset',
${reading},
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601',
  'json.ignore-parse-errors' = 'true'
);

-- The fields that the job reads. An end is named by the address behind a translation; the names of a pod of another node are to be looked up. A pod of no
-- workload is one itself.
CREATE VIEW `read` AS
SELECT
  `time`,
  `@timestamp` IS NULL AS `is_undated`,
  `appended`,
  `partition`,
  `offset`,
  `event`.`id` AS `id`,
  `event`.`dataset` AS `dataset`,
  `event`.`start` AS `start`,
  `event`.`end` AS `end`,
  `k8s`.`node`.`name` AS `node`,
  `observer`.`epoch` AS `epoch`,
  `observer`.`interval` AS `interval`,
  `interval`.`records` AS `interval_records`,
  `identity`.`ip` AS `identity_ip`,
  `k8s`.`namespace`.`name` AS `identity_namespace`,
  `k8s`.`pod`.`name` AS `identity_pod`,
  COALESCE(`k8s`.`workload`.`name`, `k8s`.`pod`.`name`) AS `identity_workload`,
  COALESCE(`source`.`nat`.`ip`, `source`.`ip`) AS `source_ip`,
  `source`.`port` AS `source_port`,
  `source`.`class` AS `source_class`,
  `source`.`bytes` AS `source_bytes`,
  `source`.`packets` AS `source_packets`,
  `source`.`k8s`.`namespace`.`name` AS `source_namespace`,
  `source`.`k8s`.`pod`.`name` AS `source_pod`,
  COALESCE(`source`.`k8s`.`workload`.`name`, `source`.`k8s`.`pod`.`name`) AS `source_workload`,
  COALESCE(`destination`.`nat`.`ip`, `destination`.`ip`) AS `destination_ip`,
  COALESCE(`destination`.`nat`.`port`, `destination`.`port`) AS `destination_port`,
  `destination`.`class` AS `destination_class`,
  `destination`.`bytes` AS `destination_bytes`,
  `destination`.`packets` AS `destination_packets`,
  `destination`.`k8s`.`namespace`.`name` AS `destination_namespace`,
  `destination`.`k8s`.`pod`.`name` AS `destination_pod`,
  COALESCE(`destination`.`k8s`.`workload`.`name`, `destination`.`k8s`.`pod`.`name`) AS `destination_workload`,
  CASE
    WHEN `destination`.`k8s`.`pod`.`name` IS NULL AND (`destination`.`nat`.`ip` IS NOT NULL OR `destination`.`class` = 'pods')
      THEN COALESCE(`destination`.`nat`.`ip`, `destination`.`ip`)
  END AS `destination_lookup`,
  `network`.`transport` AS `transport`,
  ARRAY_CONTAINS(`tcp`.`flags`.`destination`, 'SYN') AS `accepted`,
  ARRAY_CONTAINS(`tcp`.`flags`.`destination`, 'PSH') AS `pushed`,
  `tcp`.`syn`.`count` AS `syns`,
  `tcp`.`rtt`.`smoothed` AS `rtt`,
  `flow`.`observer` AS `observer`,
  `flow`.`state` AS `state`,
  `flow`.`end_reason` AS `end_reason`,
  `flow`.`connections` AS `connections`,
  `flow`.`start` AS `flow_start`,
  `flow`.`distinct`.`ports` AS `distinct_ports`,
  `flow`.`distinct`.`hosts` AS `distinct_hosts`,
  `flow`.`distinct`.`sources` AS `distinct_sources`,
  `flow`.`examples`.`ports` AS `example_ports`,
  `flow`.`examples`.`hosts` AS `example_hosts`,
  COALESCE(`sampling`.`probability`, 1) AS `probability`
FROM `records`;
