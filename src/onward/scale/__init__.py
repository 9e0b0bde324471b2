"""More than one process or machine, on engines that exist: torchrun and Ray."""
