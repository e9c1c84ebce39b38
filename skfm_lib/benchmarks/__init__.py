"""Time and memory: of this library beside its peers, and of a study before it runs."""
