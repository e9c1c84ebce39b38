"""Readers of volumes, one module a format."""
