"""Prepare a data set from scans and meshes, and export skulls from it again."""
