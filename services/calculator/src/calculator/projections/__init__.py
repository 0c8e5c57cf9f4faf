"""Profitability over months."""
