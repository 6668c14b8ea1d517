-- What came, against what the nodes say that they sent.

CREATE VIEW `intervals` AS
SELECT
  `window_time` AS `at`, `node`, `epoch`, `interval`,
  COALESCE(MAX(`start`) FILTER (WHERE `dataset` = 'podnet.interval'), DATE_FORMAT(MIN(`time`), '${time}')) AS `start`,
  DATE_FORMAT(MIN(`time`), '${time}') AS `end`,
  MAX(`interval_records`) AS `sent`,
  COUNT(*) FILTER (WHERE `dataset` IN ('podnet.flow', 'podnet.rest')) AS `came`
FROM TABLE(TUMBLE(DATA => TABLE `fresh`, TIMECOL => DESCRIPTOR(`at`), SIZE => INTERVAL '10' SECOND))
WHERE `dataset` <> 'podnet.identity'
GROUP BY `window_start`, `window_end`, `window_time`, `node`, `epoch`, `interval`;

-- The first interval that is seen of a node may have begun before what is read, unless it is the first of its epoch.
CREATE VIEW `gaps` AS
SELECT * FROM (
  SELECT *, MIN(`interval`) OVER (PARTITION BY `node`, `epoch` ORDER BY `at`) AS `first_interval`
  FROM `intervals`
)
WHERE `sent` > `came` AND (`interval` > `first_interval` OR `interval` = 1)${whole};

-- What is in no window, by hour, reason and node.
CREATE VIEW `left_out` AS
SELECT `key`, MAX(`hour`) AS `hour`, MAX(`reason`) AS `reason`, MAX(`node`) AS `node`, SUM(`messages`) AS `messages`
FROM (
  SELECT *, CONCAT_WS(' ', `hour`, `reason`, `node`) AS `key`
  FROM (
    SELECT DATE_FORMAT(`appended`, '${hour}') AS `hour`, 'not_json' AS `reason`, CAST(NULL AS STRING) AS `node`, `skipped` AS `messages` FROM `arrivals` WHERE `skipped` > 0
    UNION ALL
    SELECT DATE_FORMAT(`appended`, '${hour}'), `left_out`, `node`, CAST(1 AS BIGINT) FROM `arrivals` WHERE `left_out` IS NOT NULL
  )
)
GROUP BY `key`;
