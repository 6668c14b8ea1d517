-- What is in windows: each record once.

CREATE VIEW `fresh` AS
SELECT
  `at`, CAST(`time` AS TIMESTAMP_LTZ(3)) AS `time`,
  `dataset`, `start`, `end`, `node`, `epoch`, `interval`, `interval_records`,
  `source_ip`, `source_port`, `source_class`, `source_bytes`, `source_packets`, `source_namespace`, `source_pod`, `source_workload`,
  `destination_ip`, `destination_port`, `destination_class`, `destination_bytes`, `destination_packets`,
  `destination_namespace`, `destination_pod`, `destination_workload`, `destination_lookup`,
  `transport`, `accepted`, `pushed`, `syns`, `rtt`, `observer`, `state`, `end_reason`, `connections`, `flow_start`,
  `distinct_ports`, `distinct_hosts`, `distinct_sources`, `example_ports`, `example_hosts`, `probability`, `identity_ip`, `identity_namespace`, `identity_pod`, `identity_workload`
FROM `once`;
