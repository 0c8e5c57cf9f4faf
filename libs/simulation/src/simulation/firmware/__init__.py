"""The firmware families that simulated miners run."""
