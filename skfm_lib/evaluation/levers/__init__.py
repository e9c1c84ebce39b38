"""What each addition of ours to the paper's flow matching brings: one at a time."""
