"""The partitions of a Kafka topic as sources of a watch."""
