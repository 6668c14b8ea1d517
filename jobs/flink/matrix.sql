-- Who talks to whom, by the minute.

-- Of the two records of a connection between pods, the one at its source. `server_port` is there where it was answered; of datagrams the first one may be
-- an answer, so a server's port is the lower one.
CREATE VIEW `sights` AS
SELECT
  *,
  CASE
    WHEN `destination_packets` > 0 AND (`state` IS NULL OR `state` IN ('open', 'closed'))
      AND (`transport` = 'tcp' OR `source_port` IS NULL OR `destination_port` <= `source_port`) THEN `destination_port`
  END AS `server_port`,
  `pushed` OR `destination_bytes` > 100 * `destination_packets` AS `has_data`
FROM `fresh`
WHERE `dataset` = 'podnet.flow' AND (`observer` = 'source' OR `source_class` <> 'pods');

-- Ten seconds by workload, and by address where the record does not name it. A record that was kept with a probability stands for its reciprocal.
CREATE VIEW `talks` AS
SELECT
  `window_time` AS `at`,
  `source_namespace`, `source_workload`, `source_class`,
  `destination_namespace`, `destination_workload`, `destination_class`, `destination_lookup`,
  `server_port`,
  MIN(`source_ip`) AS `source_ip`,
  MAX(`source_ip`) AS `source_ip_other`,
  MAX(`source_pod`) AS `source_pod`,
  MIN(`destination_ip`) AS `destination_ip`,
  MAX(`destination_ip`) AS `destination_ip_other`,
  MAX(`destination_pod`) AS `destination_pod`,
  MIN(`start`) AS `start`,
  MAX(`end`) AS `end`,
  SUM(`source_bytes` / `probability`) AS `source_bytes`,
  SUM(`source_packets` / `probability`) AS `source_packets`,
  SUM(`destination_bytes` / `probability`) AS `destination_bytes`,
  SUM(`destination_packets` / `probability`) AS `destination_packets`,
  SUM(`connections` / `probability`) AS `connections`,
  SUM(`rtt`) AS `rtt_sum`,
  COUNT(`rtt`) AS `rtt_count`
FROM TABLE(TUMBLE(DATA => TABLE `sights`, TIMECOL => DESCRIPTOR(`at`), SIZE => INTERVAL '10' SECOND))
GROUP BY
  `window_start`, `window_end`, `window_time`,
  `source_namespace`, `source_workload`, `source_class`,
  `destination_namespace`, `destination_workload`, `destination_class`, `destination_lookup`,
  `server_port`;

-- The pod that has an address: its latest announcement.
CREATE VIEW `owners` AS
SELECT `ip`, `at`, `namespace`, `pod`, `workload` FROM (
  SELECT
    `identity_ip` AS `ip`, `at`, `identity_namespace` AS `namespace`, `identity_pod` AS `pod`, `identity_workload` AS `workload`,
    ROW_NUMBER() OVER (PARTITION BY `identity_ip` ORDER BY `at` DESC) AS `n`
  FROM `fresh`
  WHERE `dataset` = 'podnet.identity' AND `identity_ip` IS NOT NULL
)
WHERE `n` = 1;

-- An end is a workload, or a class. Addresses and pods are there where they are the same in all records.
CREATE VIEW `conversations` AS
SELECT
  `t`.`at`,
  CASE WHEN `source_class` IS NULL THEN `source_namespace` END AS `source_namespace`,
  CASE WHEN `source_class` IS NULL THEN `source_workload` END AS `source_workload`,
  `source_class`,
  CASE WHEN `source_ip` = `source_ip_other` THEN `source_ip` END AS `source_ip`,
  CASE WHEN `source_ip` = `source_ip_other` THEN `source_pod` END AS `source_pod`,
  CASE WHEN `o`.`ip` IS NOT NULL THEN `o`.`namespace` WHEN `destination_class` IS NULL THEN `destination_namespace` END AS `destination_namespace`,
  CASE WHEN `o`.`ip` IS NOT NULL THEN `o`.`workload` WHEN `destination_class` IS NULL THEN `destination_workload` END AS `destination_workload`,
  CASE WHEN `o`.`ip` IS NULL THEN `destination_class` END AS `destination_class`,
  CASE WHEN `destination_ip` = `destination_ip_other` THEN `destination_ip` END AS `destination_ip`,
  CASE WHEN `destination_ip` = `destination_ip_other` THEN COALESCE(`o`.`pod`, `destination_pod`) END AS `destination_pod`,
  `server_port`, `start`, `end`,
  `source_bytes`, `source_packets`, `destination_bytes`, `destination_packets`, `connections`, `rtt_sum`, `rtt_count`
FROM `talks` AS `t`
LEFT JOIN `owners` FOR SYSTEM_TIME AS OF `t`.`at` AS `o` ON `t`.`destination_lookup` = `o`.`ip`;

CREATE VIEW `minutes` AS
SELECT
  `window_start`, `source_namespace`, `source_workload`, `source_class`, `destination_namespace`, `destination_workload`, `destination_class`,
  SUM(`source_bytes`) AS `source_bytes`,
  SUM(`source_packets`) AS `source_packets`,
  SUM(`destination_bytes`) AS `destination_bytes`,
  SUM(`destination_packets`) AS `destination_packets`,
  SUM(`connections`) AS `connections`,
  SUM(`rtt_sum`) AS `rtt_sum`,
  SUM(`rtt_count`) AS `rtt_count`
FROM TABLE(TUMBLE(DATA => TABLE `conversations`, TIMECOL => DESCRIPTOR(`at`), SIZE => INTERVAL '1' MINUTE))
GROUP BY
  `window_start`, `window_end`, `source_namespace`, `source_workload`, `source_class`, `destination_namespace`, `destination_workload`, `destination_class`;
