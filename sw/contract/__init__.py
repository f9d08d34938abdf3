"""Generated accessors of registers, records and codes."""
