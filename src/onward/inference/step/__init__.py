"""One step of a model, fast: packed weights, compiled programs, sampling."""
