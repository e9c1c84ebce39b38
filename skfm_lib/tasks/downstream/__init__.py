"""What synthetic skulls are worth in use: both tasks on real and mixed sets (§4.3)."""

from skfm_lib.tasks.downstream.mixing import MIXES, Mix, training_set

__all__ = [
    "MIXES",
    "Mix",
    "training_set",
]
