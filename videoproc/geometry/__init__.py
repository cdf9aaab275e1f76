"""Pure functions on boxes, masks and spans, as NumPy arrays."""
