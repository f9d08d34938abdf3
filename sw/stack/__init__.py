"""The protocol stack of a partition: what runs above any network device, shared or owned."""
