"""Identity, routing and limits in front of every service."""
