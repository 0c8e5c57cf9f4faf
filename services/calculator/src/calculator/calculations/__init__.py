"""Profitability of one machine or one kind."""
