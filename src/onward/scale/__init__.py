"""More than one process or machine, on engines that exist: torchrun, Ray, Kafka and Redis."""
