"""The contract: one SystemRDL source, and the register bank and layouts built from it."""
