"""From a folder of scans or meshes to a data set (`skfm prepare`), and back."""
