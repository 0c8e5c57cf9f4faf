"""Recommendations: which machines to stop."""
