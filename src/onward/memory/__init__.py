"""The memory of what was just read: counts of contexts, the longest match, and a mixer with the network."""
