"""Training of a language model on an encoded corpus; runs resume exactly."""
