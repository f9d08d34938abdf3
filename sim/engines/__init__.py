"""Engines that run the RTL, all behind one protocol."""
