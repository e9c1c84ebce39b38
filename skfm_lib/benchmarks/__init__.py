"""How fast and how large: this library's steps, and its peers' on the same machine."""
