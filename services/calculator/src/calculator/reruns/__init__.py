"""Calculating again what is in the history."""
