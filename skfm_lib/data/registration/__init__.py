"""Rigid registration of a skull to its canonical pose, by a statistical shape model."""
