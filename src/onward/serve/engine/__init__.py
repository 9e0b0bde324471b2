"""The thread that owns a model, and what it computes."""
