"""Input: turns files, pipes and growing logs into records."""
