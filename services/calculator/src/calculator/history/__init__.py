"""What a user has calculated."""
