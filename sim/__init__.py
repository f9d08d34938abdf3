"""The wing that joins hardware and software: engines, link partners, scenarios, the command."""
