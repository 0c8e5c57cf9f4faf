"""How to speak to a miner: the wire, the firmware families, polls and commands."""
