"""The elementwise work of `GatedLinear` and `GatedFeedForward`: one interface, one implementation a file."""

from onward.layers.scan.reference import causal_convolution, gated_scan, gated_unit

__all__ = ["causal_convolution", "gated_scan", "gated_unit"]
