"""Applications of generated skulls: alignment, completion, implants."""
