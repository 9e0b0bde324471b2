"""What all endpoints share: checks of requests, errors, limits, metrics."""
