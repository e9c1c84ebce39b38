"""Find a skull's canonical pose: rigid registration onto a shape model."""
