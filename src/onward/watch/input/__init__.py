"""Input: from files, pipes and growing logs to records."""
