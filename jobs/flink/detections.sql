-- The rules. Their thresholds are in the file thresholds.

-- 1. Rules about addresses: counts of any 60 seconds, or ten minutes, each 10 seconds, or each minute.

-- Connections that failed, each once: the last record of an idle flow repeats its state. A folded record has no state where some of its connections are refused and
-- others unanswered. Its examples are all of its ports (hosts) where there are as many: then there is a row for each. Else there is one row for all of them, and
-- the text of its examples, which are the lowest, stands for these: records with the same text are of the same ports (hosts).
CREATE VIEW `failures` AS
SELECT
  `at`, `source_ip`, `source_namespace`, `source_pod`, `source_workload`, `destination_ip`, `destination_port`, `destination_class`, `start`, `end`,
  CASE
    WHEN `destination_port` IS NULL AND `distinct_ports` IS NOT NULL THEN COALESCE(CAST(`example_ports` AS STRING), `start`)
    WHEN `destination_ip` IS NULL AND `distinct_hosts` IS NOT NULL THEN COALESCE(CAST(`example_hosts` AS STRING), `start`)
  END AS `several`,
  CASE WHEN `destination_port` IS NULL THEN COALESCE(`distinct_ports`, 1) WHEN `destination_ip` IS NULL THEN COALESCE(`distinct_hosts`, 1) ELSE 1 END AS `number`
FROM (
  SELECT
    `at`, `source_ip`, `source_namespace`, `source_pod`, `source_workload`,
    COALESCE(`destination_ip`, `host`) AS `destination_ip`, COALESCE(`destination_port`, `port`) AS `destination_port`, `destination_class`, `start`, `end`,
    `distinct_ports`, `distinct_hosts`, `example_ports`, `example_hosts`
  FROM (
    SELECT
      *,
      CASE WHEN `distinct_ports` = CARDINALITY(`example_ports`) THEN `example_ports` END AS `ports`,
      CASE WHEN `distinct_hosts` = CARDINALITY(`example_hosts`) THEN `example_hosts` END AS `hosts`
    FROM `sights`
    WHERE (`state` IN ('refused', 'unanswered') OR `state` IS NULL AND (`distinct_ports` IS NOT NULL OR `distinct_hosts` IS NOT NULL))
      AND (`end_reason` IS NULL OR `end_reason` <> 'idle')
      AND `distinct_sources` IS NULL AND (`source_ip` IS NOT NULL OR `source_pod` IS NOT NULL)
  )
  LEFT JOIN UNNEST(`ports`) AS `p` (`port`) ON TRUE
  LEFT JOIN UNNEST(`hosts`) AS `h` (`host`) ON TRUE
);

-- SYNs, without those that answer one; and the connections among them that were answered by data. Of endpoints there are many: half minutes are enough.
CREATE VIEW `attempts` AS
SELECT
  `at`, `source_ip`, `destination_ip`, `destination_port`, `destination_class`, `start`, `end`,
  CASE WHEN `accepted` THEN `connections` ELSE `syns` END / `probability` AS `syns`,
  CASE WHEN `has_data` AND `connections` > 0 THEN `connections` WHEN `has_data` AND TO_TIMESTAMP_LTZ(`flow_start`, '${time}') > `time` - INTERVAL '1' MINUTE THEN 1 ELSE 0 END / `probability` AS `answered`
FROM `sights`
WHERE `transport` = 'tcp' AND `destination_ip` IS NOT NULL AND `destination_port` IS NOT NULL;

-- Of a source and a destination (a port) in a window: each port (host) once.
CREATE VIEW `minute_ports` AS
SELECT
  `window_start`, `window_end`, `window_time`, `source_ip`, `source_namespace`, `source_pod`, `source_workload`, `destination_ip`, COALESCE(CAST(`destination_port` AS STRING), `several`) AS `port`,
  MAX(`destination_class`) AS `destination_class`, MIN(`start`) AS `start`, MAX(`end`) AS `end`, MAX(`number`) AS `number`
FROM TABLE(HOP(DATA => TABLE `failures`, TIMECOL => DESCRIPTOR(`at`), SLIDE => INTERVAL '10' SECOND, SIZE => INTERVAL '1' MINUTE))
WHERE `destination_ip` IS NOT NULL
GROUP BY `window_start`, `window_end`, `window_time`, `source_ip`, `source_namespace`, `source_pod`, `source_workload`, `destination_ip`, COALESCE(CAST(`destination_port` AS STRING), `several`);

CREATE VIEW `minute_hosts` AS
SELECT
  `window_start`, `window_end`, `window_time`, `source_ip`, `source_namespace`, `source_pod`, `source_workload`, `destination_port`, COALESCE(`destination_ip`, `several`) AS `host`,
  MAX(`destination_class`) AS `destination_class`, MIN(`start`) AS `start`, MAX(`end`) AS `end`, MAX(`number`) AS `number`
FROM TABLE(HOP(DATA => TABLE `failures`, TIMECOL => DESCRIPTOR(`at`), SLIDE => INTERVAL '10' SECOND, SIZE => INTERVAL '1' MINUTE))
WHERE `destination_port` IS NOT NULL
GROUP BY `window_start`, `window_end`, `window_time`, `source_ip`, `source_namespace`, `source_pod`, `source_workload`, `destination_port`, COALESCE(`destination_ip`, `several`);

CREATE VIEW `ten_minute_ports` AS
SELECT
  `window_start`, `window_end`, `window_time`, `source_ip`, `source_namespace`, `source_pod`, `source_workload`, `destination_ip`, COALESCE(CAST(`destination_port` AS STRING), `several`) AS `port`,
  MAX(`destination_class`) AS `destination_class`, MIN(`start`) AS `start`, MAX(`end`) AS `end`, MAX(`number`) AS `number`
FROM TABLE(HOP(DATA => TABLE `failures`, TIMECOL => DESCRIPTOR(`at`), SLIDE => INTERVAL '1' MINUTE, SIZE => INTERVAL '10' MINUTE))
WHERE `destination_ip` IS NOT NULL
GROUP BY `window_start`, `window_end`, `window_time`, `source_ip`, `source_namespace`, `source_pod`, `source_workload`, `destination_ip`, COALESCE(CAST(`destination_port` AS STRING), `several`);

CREATE VIEW `minute_counts` AS
SELECT
  'port_scan' AS `rule`, `window_end` AS `until`, `window_time` AS `at`,
  `source_ip`, `source_namespace`, `source_pod`, `source_workload`,
  `destination_ip`, CAST(NULL AS BIGINT) AS `destination_port`, MAX(`destination_class`) AS `destination_class`,
  MIN(`start`) AS `start`, MAX(`end`) AS `end`,
  CAST(SUM(`number`) AS DOUBLE) AS `value`,
  CAST(${port_scan.ports} AS DOUBLE) AS `threshold`
FROM `minute_ports`
WHERE `port` IS NOT NULL
GROUP BY `window_start`, `window_end`, `window_time`, `source_ip`, `source_namespace`, `source_pod`, `source_workload`, `destination_ip`
UNION ALL
SELECT
  'host_scan', `window_end`, `window_time`,
  `source_ip`, `source_namespace`, `source_pod`, `source_workload`,
  CAST(NULL AS STRING), `destination_port`, MAX(`destination_class`),
  MIN(`start`), MAX(`end`),
  CAST(SUM(`number`) AS DOUBLE),
  CAST(${host_scan.hosts} AS DOUBLE)
FROM `minute_hosts`
WHERE `host` IS NOT NULL
GROUP BY `window_start`, `window_end`, `window_time`, `source_ip`, `source_namespace`, `source_pod`, `source_workload`, `destination_port`
UNION ALL
SELECT
  'syn_flood', `window_end`, `window_time`,
  CASE WHEN MIN(`source_ip`) = MAX(`source_ip`) THEN MIN(`source_ip`) END, CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING),
  `destination_ip`, `destination_port`, MAX(`destination_class`),
  MIN(`start`), MAX(`end`),
  CASE WHEN SUM(`answered`) < SUM(`syns`) * ${syn_flood.answered_percent} / 100 THEN ROUND(SUM(`syns`)) ELSE 0 END,
  CAST(${syn_flood.syns} AS DOUBLE)
FROM TABLE(HOP(DATA => TABLE `attempts`, TIMECOL => DESCRIPTOR(`at`), SLIDE => INTERVAL '30' SECOND, SIZE => INTERVAL '1' MINUTE))
GROUP BY `window_start`, `window_end`, `window_time`, `destination_ip`, `destination_port`;

CREATE VIEW `ten_minute_counts` AS
SELECT
  'slow_scan' AS `rule`, `window_end` AS `until`, `window_time` AS `at`,
  `source_ip`, `source_namespace`, `source_pod`, `source_workload`,
  `destination_ip`, CAST(NULL AS BIGINT) AS `destination_port`, MAX(`destination_class`) AS `destination_class`,
  MIN(`start`) AS `start`, MAX(`end`) AS `end`,
  CAST(SUM(`number`) AS DOUBLE) AS `value`,
  CAST(${slow_scan.ports} AS DOUBLE) AS `threshold`
FROM `ten_minute_ports`
WHERE `port` IS NOT NULL
GROUP BY `window_start`, `window_end`, `window_time`, `source_ip`, `source_namespace`, `source_pod`, `source_workload`, `destination_ip`;

-- Those that reach their threshold, with their ends in one text.
CREATE VIEW `minute_counts_of_ends` AS
SELECT *, CONCAT_WS('|', CASE WHEN `rule` <> 'syn_flood' THEN COALESCE(`source_ip`, '') ELSE '' END, COALESCE(`source_namespace`, ''), COALESCE(`source_pod`, ''), COALESCE(`destination_ip`, ''), COALESCE(CAST(`destination_port` AS STRING), '')) AS `ends`
FROM `minute_counts` WHERE `value` >= `threshold`;

CREATE VIEW `ten_minute_counts_of_ends` AS
SELECT *, CONCAT_WS('|', CASE WHEN `rule` <> 'syn_flood' THEN COALESCE(`source_ip`, '') ELSE '' END, COALESCE(`source_namespace`, ''), COALESCE(`source_pod`, ''), COALESCE(`destination_ip`, ''), COALESCE(CAST(`destination_port` AS STRING), '')) AS `ends`
FROM `ten_minute_counts` WHERE `value` >= `threshold`;

-- Of these, by the minute (ten minutes) of the clock: `whole` is that minute's own, `best` the highest of those that end in it.
CREATE VIEW `reached` AS
SELECT
  *,
  LAG(`whole`) OVER (PARTITION BY `rule`, `ends` ORDER BY `at`) AS `whole_before`,
  LAG(`until`) OVER (PARTITION BY `rule`, `ends` ORDER BY `at`) AS `until_before`
FROM (
  SELECT
    `window_time` AS `at`, `window_start` AS `from`, `window_end` AS `until`, `rule`, `ends`,
    MAX(`source_ip`) AS `source_ip`, MAX(`source_namespace`) AS `source_namespace`, MAX(`source_pod`) AS `source_pod`, MAX(`source_workload`) AS `source_workload`,
    MAX(`destination_ip`) AS `destination_ip`, MAX(`destination_port`) AS `destination_port`, MAX(`destination_class`) AS `destination_class`,
    MIN(`start`) AS `start`, MAX(`end`) AS `end`,
    MAX(`value`) AS `best`,
    MAX(`value`) FILTER (WHERE SECOND(`until`) = 0) AS `whole`,
    MAX(`threshold`) AS `threshold`
  FROM TABLE(TUMBLE(DATA => TABLE `minute_counts_of_ends`, TIMECOL => DESCRIPTOR(`at`), SIZE => INTERVAL '1' MINUTE))
  GROUP BY `window_start`, `window_end`, `window_time`, `rule`, `ends`
  UNION ALL
  SELECT
    `window_time`, `window_start`, `window_end`, `rule`, `ends`,
    MAX(`source_ip`), MAX(`source_namespace`), MAX(`source_pod`), MAX(`source_workload`),
    MAX(`destination_ip`), MAX(`destination_port`), MAX(`destination_class`),
    MIN(`start`), MAX(`end`),
    MAX(`value`),
    MAX(`value`) FILTER (WHERE MOD(MINUTE(`until`), 10) = 0),
    MAX(`threshold`)
  FROM TABLE(TUMBLE(DATA => TABLE `ten_minute_counts_of_ends`, TIMECOL => DESCRIPTOR(`at`), SIZE => INTERVAL '10' MINUTE))
  GROUP BY `window_start`, `window_end`, `window_time`, `rule`, `ends`
);

-- A minute of the clock that has enough; or 60 seconds across it and the one before, of which neither has. The owner of an address is named as of then.
CREATE VIEW `found_by_address` AS
SELECT
  `r`.`at`, `rule`, `r`.`start`, `r`.`end`, `ends`,
  `source_ip`, `source_namespace`, `source_pod`, `source_workload`,
  `destination_ip`, `destination_port`,
  CASE WHEN `o`.`ip` IS NULL THEN `destination_class` END AS `destination_class`,
  `o`.`namespace` AS `destination_namespace`, `o`.`pod` AS `destination_pod`, `o`.`workload` AS `destination_workload`,
  COALESCE(`whole`, `best`) AS `value`, `threshold`
FROM `reached` AS `r`
LEFT JOIN `owners` FOR SYSTEM_TIME AS OF `r`.`at` AS `o` ON `r`.`destination_ip` = `o`.`ip`
WHERE `whole` IS NOT NULL OR (`whole_before` IS NOT NULL AND `until_before` = `from`) IS NOT TRUE;

-- 2. Rules that learn first.

-- A conversation that was answered, and how many of its ends and port there have been. The name behind a Service's address, or of a pod, that is not known
-- once is no first contact.
CREATE VIEW `contacts` AS
SELECT
  *,
  COUNT(*) OVER (
    PARTITION BY `source_namespace`, `source_workload`, `destination_namespace`, `destination_workload`, `destination_class`, `server_port`
    ORDER BY `at` ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS `times`
FROM `conversations`
WHERE `server_port` IS NOT NULL AND `source_workload` IS NOT NULL AND (`destination_class` IS NULL OR `destination_class` NOT IN ('pods', 'service'))
  AND (`source_namespace` <> `destination_namespace` OR `source_workload` <> `destination_workload`) IS NOT FALSE;

CREATE VIEW `sent_to_internet` AS
SELECT `at`, `source_namespace` AS `namespace`, `source_workload` AS `workload`, `source_pod` AS `pod`, `source_ip` AS `ip`, `source_ip_other` AS `ip_other`, `destination_ip` AS `peer`, `destination_ip_other` AS `peer_other`, `start`, `end`, `source_bytes` AS `bytes`
FROM `talks`
WHERE `destination_class` = 'internet' AND `destination_lookup` IS NULL AND `source_workload` IS NOT NULL
UNION ALL
SELECT `at`, `destination_namespace`, `destination_workload`, `destination_pod`, `destination_ip`, `destination_ip_other`, `source_ip`, `source_ip_other`, `start`, `end`, `destination_bytes`
FROM `talks`
WHERE `source_class` = 'internet' AND `destination_workload` IS NOT NULL;

-- A workload's minutes to the internet, with the hour before each.
CREATE VIEW `uploads` AS
SELECT
  *,
  SUM(`bytes`) OVER (PARTITION BY `namespace`, `workload` ORDER BY `at` RANGE BETWEEN INTERVAL '60' MINUTE PRECEDING AND CURRENT ROW) - `bytes` AS `before`
FROM (
  SELECT
    `window_time` AS `at`, `namespace`, `workload`,
    CASE WHEN MIN(`ip`) = MAX(`ip_other`) THEN MIN(`ip`) END AS `ip`, CASE WHEN MIN(`ip`) = MAX(`ip_other`) THEN MIN(`pod`) END AS `pod`,
    CASE WHEN MIN(`peer`) = MAX(`peer_other`) THEN MIN(`peer`) END AS `peer`,
    MIN(`start`) AS `start`, MAX(`end`) AS `end`,
    SUM(`bytes`) AS `bytes`
  FROM TABLE(TUMBLE(DATA => TABLE `sent_to_internet`, TIMECOL => DESCRIPTOR(`at`), SIZE => INTERVAL '1' MINUTE))
  GROUP BY `window_start`, `window_end`, `window_time`, `namespace`, `workload`
);

-- Both, with the time of the first record of all.
CREATE VIEW `candidates` AS
SELECT *, MIN(`at`) OVER (ORDER BY `at`) AS `began`
FROM (
  SELECT
    `at`, 'first_contact' AS `rule`, `start`, `end`,
    CONCAT_WS('|', COALESCE(`source_namespace`, ''), `source_workload`, COALESCE(`destination_namespace`, ''), COALESCE(`destination_workload`, ''), COALESCE(`destination_class`, ''), CAST(`server_port` AS STRING)) AS `ends`,
    `source_ip`, `source_namespace`, `source_pod`, `source_workload`,
    `destination_ip`, `server_port` AS `destination_port`, `destination_class`,
    `destination_namespace`, `destination_pod`, `destination_workload`,
    CAST(1 AS DOUBLE) AS `value`, CAST(NULL AS DOUBLE) AS `before`
  FROM `contacts`
  WHERE `times` = 1
  UNION ALL
  SELECT
    `at`, 'exfiltration', `start`, `end`,
    CONCAT_WS('|', COALESCE(`namespace`, ''), `workload`),
    `ip`, `namespace`, `pod`, `workload`,
    `peer`, CAST(NULL AS BIGINT), 'internet',
    CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING),
    ROUND(`bytes`), `before`
  FROM `uploads`
  WHERE `bytes` > ${exfiltration.bytes}
  UNION ALL
  SELECT
    `at`, 'none', `start`, `end`, '', CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING),
    CAST(NULL AS STRING), CAST(NULL AS BIGINT), CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS DOUBLE), CAST(NULL AS DOUBLE)
  FROM `intervals`
);

CREATE VIEW `found_by_workload` AS
SELECT
  `at`, `rule`, `start`, `end`, `ends`,
  `source_ip`, `source_namespace`, `source_pod`, `source_workload`,
  `destination_ip`, `destination_port`, `destination_class`, `destination_namespace`, `destination_pod`, `destination_workload`,
  `value`,
  CASE `rule` WHEN 'first_contact' THEN 1 ELSE GREATEST(${exfiltration.bytes}, `usual` * ${exfiltration.times}) END AS `threshold`
FROM (
  -- What is usual is the mean of the past hour's minutes, also of those without a byte.
  SELECT *, `before` / GREATEST(1, LEAST(60, TIMESTAMPDIFF(MINUTE, `began`, `at`))) AS `usual`
  FROM `candidates`
  WHERE `at` >= `began` + ${learn}
)
WHERE `rule` = 'first_contact' OR `rule` = 'exfiltration' AND `value` > `usual` * ${exfiltration.times};

-- 3. Rules about nodes, and all results.

CREATE VIEW `found` AS
SELECT *, MD5(CONCAT_WS('|', `rule`, `ends`, DATE_FORMAT(`at`, 'yyyyMMddHH'))) AS `id`
FROM (
  SELECT *, CAST(NULL AS STRING) AS `node`, CAST(NULL AS BIGINT) AS `interval` FROM `found_by_address`
  UNION ALL
  SELECT *, CAST(NULL AS STRING), CAST(NULL AS BIGINT) FROM `found_by_workload`
  UNION ALL
  SELECT
    `at`, 'gap', `start`, `end`, CONCAT_WS('|', `node`, `epoch`, CAST(`interval` AS STRING)),
    CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING),
    CAST(NULL AS STRING), CAST(NULL AS BIGINT), CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING),
    CAST(`sent` - `came` AS DOUBLE), CAST(1 AS DOUBLE), `node`, `interval`
  FROM `gaps`
);

-- What continues is found once an hour.
CREATE VIEW `found_once` AS
SELECT * FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY `id` ORDER BY `at`) AS `n` FROM `found` WHERE (${allowed}) IS NOT TRUE
)
WHERE `n` = 1;

-- A node whose clock is more than a minute ahead, once an hour of the broker's.
CREATE VIEW `clocks` AS
SELECT * FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY `node`, `hour` ORDER BY `processed`) AS `n`
  FROM (
    SELECT `node`, `appended`, `time`, DATE_FORMAT(`appended`, 'yyyyMMddHH') AS `hour`, PROCTIME() AS `processed` FROM `arrivals` WHERE `left_out` = 'ahead'
  )
)
WHERE `n` = 1;
