"""What a search of a user's folder found: scans, problems, and what is left out."""

from collections import Counter
from dataclasses import dataclass, field

from skfm_lib.prepare.source import Source


@dataclass
class Found:
    """The scans of a folder, and what became of everything else in it.

    Every file, member of an archive and link is one of a source, of a problem, or left
    out; folders that cannot be read are counted with them.

    Attributes:
        problems: Path below the folder → why it cannot be used.
        problem_files: The same path → number of its files.
        left_out: Reason → number of files that are no scans, or not used.  A reason has
            no part of the user's names in it.
    """

    sources: list[Source] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    problem_files: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def fail(self, key: str, why: str, files: int = 1) -> None:
        """Add a problem of `files` files; of several at one path, the first stays."""
        self.problems.setdefault(key, why)
        self.problem_files[key] += files

    @property
    def files(self) -> int:
        """Number of everything that was found."""
        used = sum(source.files for source in self.sources)
        return used + self.problem_files.total() + self.left_out.total()
