"""Hostile drivers: seeded attacks on the adapter and its manager, and who judges them."""
