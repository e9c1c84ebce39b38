"""Read and write scans and meshes of every format, with their geometry."""
