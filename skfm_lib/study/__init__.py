"""A study on disk: its runs, stages, chapters and book."""

from skfm_lib.study import stage_names
from skfm_lib.study.parameters import open_chapter
from skfm_lib.study.runs import existing_study, open_study
from skfm_lib.study.store import Stage, Study

__all__ = [
    "Stage",
    "Study",
    "existing_study",
    "open_chapter",
    "open_study",
    "stage_names",
]
