"""The wing that becomes gates: Amaranth components, and nothing that cannot be synthesised."""
