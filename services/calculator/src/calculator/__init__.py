"""Miner models, network epochs and profitability."""
