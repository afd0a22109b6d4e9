"""The OAuth RFCs as pure flows: no I/O, no clock, no randomness of their own."""
