"""The thread that owns a model, and its work."""
