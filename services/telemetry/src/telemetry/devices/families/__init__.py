"""One module per firmware family: what a poll asks for, and what the miner can be told."""
