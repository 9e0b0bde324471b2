"""Online n-gram counts and the longest match, mixed with the network's prediction."""
