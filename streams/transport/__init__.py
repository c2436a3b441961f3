"""Transports beside Faust's own: one, for the embedded broker."""
