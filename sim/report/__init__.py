"""Summaries and results."""
