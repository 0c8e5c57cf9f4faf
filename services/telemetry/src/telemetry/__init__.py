"""Polls every miner, stores what it says, carries out commands."""
