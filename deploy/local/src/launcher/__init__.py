"""Starts and supervises a whole Hashyard on one machine."""
