"""What generated skulls are good for, and what must be asked of them first."""
