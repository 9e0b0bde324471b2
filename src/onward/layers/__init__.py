"""Recurrent layers: state in, state out."""
