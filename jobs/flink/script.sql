-- For a script alone: what Arrivals.java does in its place.

-- With why a record is in no window, and how many messages before it made no row, since they are not JSON.
CREATE VIEW `arrivals` AS
SELECT
  *,
  CASE
    WHEN `dataset` NOT IN ('podnet.flow', 'podnet.rest', 'podnet.interval', 'podnet.identity') THEN 'unknown_dataset'
    WHEN `is_undated` OR `id` IS NULL OR `dataset` IS NULL OR `node` IS NULL THEN 'incomplete'
    WHEN `time` > `appended` + INTERVAL '1' MINUTE THEN 'ahead'
    WHEN `time` <= CURRENT_WATERMARK(`time`) THEN 'late'
  END AS `left_out`,
  `offset` - LAG(`offset`) OVER (PARTITION BY `partition` ORDER BY PROCTIME()) - 1 AS `skipped`
FROM `read`;

CREATE VIEW `kept` AS
SELECT * FROM `arrivals` WHERE `left_out` IS NULL;

-- Each record once: a repeat has the same id and time.
CREATE VIEW `once` AS
SELECT `window_time` AS `at`, * FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY `window_start`, `window_end`, `id` ORDER BY `time`) AS `n`
  FROM TABLE(TUMBLE(DATA => TABLE `kept`, TIMECOL => DESCRIPTOR(`time`), SIZE => INTERVAL '10' SECOND))
)
WHERE `n` = 1;
