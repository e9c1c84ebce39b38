"""The experiments of a study in one file: settings and errors, without networks.

Unpacked into a run of the same settings, they are found finished: the statistics of
chapters 8 and 9 can be evaluated again, or further trainings added, without those that
are there::

    unzip -n book/experiments.zip -d runs/quick

Those whose networks are needed again are left out, and trained anew: what `skfm align`
and `skfm complete` use, and what has no point on the learning curve yet.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from skfm_lib.study import Study
from skfm_lib.tasks.alignment import ALIGNMENT
from skfm_lib.tasks.apply_to_scan import chosen_experiment
from skfm_lib.tasks.completion import COMPLETION
from skfm_lib.tasks.experiments.learning_curve import LABEL as CURVE
from skfm_lib.tasks.experiments.mixes import mix_of
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, replacing


def archive(study: Study, path: Path) -> int:
    """Write the finished experiments of both tasks to a zip file; their number.

    The same experiments give the same bytes.  Of none, no file is written.

    Raises:
        SkfmError: where the file holds experiments that the study lacks, which would
            be lost.
    """
    found = {f"{stage}/done.json": file for stage, file in _finished(study)}
    if path.is_file():
        with zipfile.ZipFile(path) as former:
            if lost := set(former.namelist()) - set(found):
                raise SkfmError(
                    f"{path.name}: {len(lost)} of its experiments are not in run "
                    f"{study.name!r}",
                    "none",
                    f"unzip -n {path} -d runs/{study.name}, or remove the file",
                )
    if not found:
        return 0
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as made:
        for name in sorted(found):
            entry = zipfile.ZipInfo(name)  # without a time
            made.writestr(entry, found[name].read_bytes(), zipfile.ZIP_DEFLATED)
    return len(found)


def _finished(study: Study) -> Iterator[tuple[str, Path]]:
    """Names and records of the finished experiments whose networks are not needed."""
    tasks = [t for t in (ALIGNMENT, COMPLETION) if study.is_finished(t.stage)]
    for task in tasks:
        folder, tools = study.folder / task.folder, chosen_experiment(study, task).name
        for done in folder.glob("*/done.json"):
            name = f"{task.folder}/{done.parent.name}"
            about = read_json(done, "settings", "fingerprint")
            if trained_on := about["settings"].get("set"):
                curve = f"{CURVE}-{about['fingerprint']}-*/done.json"
                waits = mix_of(trained_on).only_real and not any(folder.glob(curve))
                if name != tools and not waits:
                    yield name, done
            elif done.parent.name.startswith(CURVE):
                yield name, done
