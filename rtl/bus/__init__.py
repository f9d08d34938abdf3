"""AXI4, AXI4-Lite and packet streams."""
