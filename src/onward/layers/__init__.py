"""Recurrent layers. `base` states the conventions that they follow."""
