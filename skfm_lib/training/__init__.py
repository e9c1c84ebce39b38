"""Train the networks: one trainer, one optimiser, one checkpoint format."""
