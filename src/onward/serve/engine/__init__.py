"""The thread that owns a model, and the work it does."""
