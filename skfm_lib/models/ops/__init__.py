"""Layers and operations that make large volumes fast and small in memory."""
