"""Whole runs: set up a machine, do one job, measure it."""
