-- The results' topics: one INSERT each, since an exactly-once sink is one writer.

CREATE TABLE `detections` (
  `@timestamp` STRING NOT NULL,
  `event` ROW<`id` STRING, `kind` STRING, `dataset` STRING, `start` STRING, `end` STRING>,
  `rule` ROW<`name` STRING>,
  `source` ROW<`ip` STRING, `k8s` ROW<`namespace` ROW<`name` STRING>, `pod` ROW<`name` STRING>, `workload` ROW<`name` STRING>>>,
  `destination` ROW<`ip` STRING, `port` BIGINT, `class` STRING, `k8s` ROW<`namespace` ROW<`name` STRING>, `pod` ROW<`name` STRING>, `workload` ROW<`name` STRING>>>,
  `detection` ROW<`value` DOUBLE, `threshold` DOUBLE>,
  `observer` ROW<`interval` BIGINT>,
  `k8s` ROW<`node` ROW<`name` STRING>>
) WITH (
  'connector' = 'kafka',
  'topic' = '${detections}',
  'properties.bootstrap.servers' = '${brokers}',${properties}
  'properties.transaction.timeout.ms' = '900000',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = 'podnet-flink-${detections}',
  'format' = 'json',
  'json.encode.ignore-null-fields' = 'true'
);

CREATE TABLE `matrix` (
  `@timestamp` STRING NOT NULL,
  `event` ROW<`dataset` STRING>,
  `source` ROW<`k8s` ROW<`namespace` ROW<`name` STRING>, `workload` ROW<`name` STRING>>, `class` STRING, `bytes` BIGINT, `packets` BIGINT>,
  `destination` ROW<`k8s` ROW<`namespace` ROW<`name` STRING>, `workload` ROW<`name` STRING>>, `class` STRING, `bytes` BIGINT, `packets` BIGINT>,
  `flow` ROW<`connections` BIGINT>,
  `tcp` ROW<`rtt` ROW<`mean` DOUBLE>>
) WITH (
  'connector' = 'kafka',
  'topic' = '${matrix}',
  'properties.bootstrap.servers' = '${brokers}',${properties}
  'properties.transaction.timeout.ms' = '900000',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = 'podnet-flink-${matrix}',
  'format' = 'json',
  'json.encode.ignore-null-fields' = 'true'
);

-- Totals that grow: the last message of a key counts.
CREATE TABLE `counts` (
  `key` STRING NOT NULL,
  `@timestamp` STRING NOT NULL,
  `event` ROW<`dataset` STRING>,
  `count` ROW<`reason` STRING, `records` BIGINT>,
  `k8s` ROW<`node` ROW<`name` STRING>>,
  PRIMARY KEY (`key`) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = '${counts}',
  'properties.bootstrap.servers' = '${brokers}',${properties}
  'properties.transaction.timeout.ms' = '900000',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = 'podnet-flink-${counts}',
  'key.format' = 'raw',
  'value.format' = 'json',
  'value.json.encode.ignore-null-fields' = 'true',
  'value.fields-include' = 'EXCEPT_KEY'
);

INSERT INTO `detections`
SELECT
  DATE_FORMAT(`at`, '${time}'),
  ROW(`id`, 'alert', 'podnet.detection', `start`, `end`),
  ROW(`rule`),
  CASE WHEN `source_ip` IS NOT NULL OR `source_namespace` IS NOT NULL THEN
    ROW(`source_ip`, CASE WHEN `source_namespace` IS NOT NULL THEN ROW(ROW(`source_namespace`), CASE WHEN `source_pod` IS NOT NULL THEN ROW(`source_pod`) END, CASE WHEN `source_workload` IS NOT NULL THEN ROW(`source_workload`) END) END) END,
  CASE WHEN `destination_ip` IS NOT NULL OR `destination_port` IS NOT NULL OR `destination_namespace` IS NOT NULL OR `destination_class` IS NOT NULL THEN
    ROW(`destination_ip`, `destination_port`, `destination_class`,
      CASE WHEN `destination_namespace` IS NOT NULL THEN ROW(ROW(`destination_namespace`), CASE WHEN `destination_pod` IS NOT NULL THEN ROW(`destination_pod`) END, CASE WHEN `destination_workload` IS NOT NULL THEN ROW(`destination_workload`) END) END) END,
  ROW(`value`, `threshold`),
  CASE WHEN `interval` IS NOT NULL THEN ROW(`interval`) END,
  CASE WHEN `node` IS NOT NULL THEN ROW(ROW(`node`)) END
FROM `found_once`
UNION ALL
SELECT
  DATE_FORMAT(`appended`, '${time}'),
  ROW(MD5(CONCAT_WS('|', 'clock', `node`, `hour`)), 'alert', 'podnet.detection', DATE_FORMAT(`appended`, '${time}'), DATE_FORMAT(`appended`, '${time}')),
  ROW('clock'),
  CAST(NULL AS ROW<`ip` STRING, `k8s` ROW<`namespace` ROW<`name` STRING>, `pod` ROW<`name` STRING>, `workload` ROW<`name` STRING>>>),
  CAST(NULL AS ROW<`ip` STRING, `port` BIGINT, `class` STRING, `k8s` ROW<`namespace` ROW<`name` STRING>, `pod` ROW<`name` STRING>, `workload` ROW<`name` STRING>>>),
  ROW(CAST(TIMESTAMPDIFF(SECOND, `appended`, `time`) AS DOUBLE), CAST(60 AS DOUBLE)),
  CAST(NULL AS ROW<`interval` BIGINT>),
  ROW(ROW(`node`))
FROM `clocks`;

INSERT INTO `matrix`
SELECT
  DATE_FORMAT(`window_start`, '${time}'),
  ROW('podnet.matrix'),
  ROW(CASE WHEN `source_namespace` IS NOT NULL THEN ROW(ROW(`source_namespace`), ROW(`source_workload`)) END, `source_class`, CAST(ROUND(`source_bytes`) AS BIGINT), CAST(ROUND(`source_packets`) AS BIGINT)),
  ROW(CASE WHEN `destination_namespace` IS NOT NULL THEN ROW(ROW(`destination_namespace`), ROW(`destination_workload`)) END, `destination_class`, CAST(ROUND(`destination_bytes`) AS BIGINT), CAST(ROUND(`destination_packets`) AS BIGINT)),
  ROW(CAST(ROUND(`connections`) AS BIGINT)),
  CASE WHEN `rtt_count` > 0 THEN ROW(ROW(CAST(`rtt_sum` AS DOUBLE) / `rtt_count`)) END
FROM `minutes`;

INSERT INTO `counts`
SELECT
  `key`, `hour`, ROW('podnet.count'), ROW(`reason`, `messages`), CASE WHEN `node` IS NOT NULL THEN ROW(ROW(`node`)) END
FROM `left_out`;
