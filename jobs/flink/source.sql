-- The topic of records, as `podnet-exporter flows schema --for=flink` declares it in flows.sql, with what the job adds.

CREATE TABLE `records` (
  `appended` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  `partition` INT METADATA VIRTUAL,
  `offset` BIGINT METADATA VIRTUAL,
  `time` AS COALESCE(`@timestamp`, `appended`),
  WATERMARK FOR `time` AS LEAST(`@timestamp`, `appended`) - ${lateness}
) WITH (
  'topic' = '${flows}',
  'properties.bootstrap.servers' = '${brokers}',${properties}
  'properties.group.id' = '${group}',
${reading}
) LIKE `flows` (EXCLUDING METADATA EXCLUDING WATERMARKS OVERWRITING OPTIONS);

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
  COALESCE(`sampling`.`probability`, 1) AS `probability`
FROM `records`;

-- The same, without that the source is idle: RunSql.java says why.
CREATE VIEW `steady` AS
SELECT * FROM `read`;

-- `left_out` says why a record is in no window.
CREATE VIEW `arrivals` AS
SELECT
  *,
  CASE
    WHEN `dataset` NOT IN ('podnet.flow', 'podnet.rest', 'podnet.interval', 'podnet.identity') THEN 'unknown_dataset'
    WHEN `is_undated` OR `id` IS NULL OR `dataset` IS NULL OR `node` IS NULL THEN 'incomplete'
    WHEN `time` > `appended` + INTERVAL '1' MINUTE THEN 'ahead'
    WHEN `time` <= CURRENT_WATERMARK(`time`) THEN 'late'
  END AS `left_out`
FROM `steady`;

-- Each record once: a repeat has the same id and time. Ten seconds are also how exactly the names of addresses are known.
CREATE VIEW `kept` AS
SELECT * FROM `arrivals` WHERE `left_out` IS NULL;

CREATE VIEW `fresh` AS
SELECT
  `window_time` AS `at`, CAST(`time` AS TIMESTAMP_LTZ(3)) AS `time`,
  `dataset`, `start`, `end`, `node`, `epoch`, `interval`, `interval_records`,
  `source_ip`, `source_port`, `source_class`, `source_bytes`, `source_packets`, `source_namespace`, `source_pod`, `source_workload`,
  `destination_ip`, `destination_port`, `destination_class`, `destination_bytes`, `destination_packets`,
  `destination_namespace`, `destination_pod`, `destination_workload`, `destination_lookup`,
  `transport`, `accepted`, `pushed`, `syns`, `rtt`, `observer`, `state`, `end_reason`, `connections`, `flow_start`,
  `distinct_ports`, `distinct_hosts`, `distinct_sources`, `probability`
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY `window_start`, `window_end`, `id` ORDER BY `time`) AS `n`
  FROM TABLE(TUMBLE(DATA => TABLE `kept`, TIMECOL => DESCRIPTOR(`time`), SIZE => INTERVAL '10' SECOND))
)
WHERE `n` = 1;
