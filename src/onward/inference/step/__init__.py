"""Fast single steps of a model: packed weights, compiled programs, sampling."""
