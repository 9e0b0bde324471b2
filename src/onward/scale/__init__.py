"""Adapters to the engines that carry onward beyond one process and one machine."""
