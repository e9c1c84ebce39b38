"""Mesh formats: from a file's bytes to points and triangles.

The readers of trimesh and VTK lose parts of what these formats allow: relative indices
between points in OBJ, polygons of several sizes in binary PLY, normalised and sparse
accessors in glTF; and they accept a text PLY that is cut short.
"""
