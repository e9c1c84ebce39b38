"""Skulls as files, meshes and voxel grids; everything in RAS+ millimetres."""
