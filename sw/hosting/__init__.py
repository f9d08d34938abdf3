"""The hosting partition: adapter driver with its hardware interface, I/O hosting interface."""
