"""From scans and meshes to a data set, and back."""
