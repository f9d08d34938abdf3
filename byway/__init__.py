"""Byway: a network adapter that logical partitions share at the speed of owning it.

The package joins three wings: `byway.rtl` becomes gates, `byway.sw` programs it, `byway.sim` joins
the two. See README.md.
"""

__version__ = "0.1.0"
