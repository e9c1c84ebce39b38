"""Skulls: scans and meshes, phantoms, voxel grids and data sets."""
