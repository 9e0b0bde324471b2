"""The code that all endpoints share: checks of requests, errors, limits, metrics."""
