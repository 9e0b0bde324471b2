"""Recurrent layers. `base` states the conventions that they keep."""
