"""Measurements of the product, each a command and a file of figures in ``out/bench``."""
