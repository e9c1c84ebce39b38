"""From scans and meshes to a data set (`skfm prepare`), and back (`skfm export`)."""
