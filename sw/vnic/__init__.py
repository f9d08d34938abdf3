"""What both ends of a virtual NIC share: commands, capabilities, queues, descriptors, buffers."""
