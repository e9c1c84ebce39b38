"""How good, varied and new generated skulls are: Tables 1, 8 and 9, and privacy."""
