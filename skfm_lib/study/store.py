"""A study on disk: run folder, stages, fingerprints, provenance.

    runs/<run>/run.json               preset, seed, when and where it was made
    runs/<run>/<NN_stage>/stage.json  the settings it runs with, their fingerprint
    runs/<run>/<NN_stage>/done.json   the same, with results: the stage is finished

The same stage with the same settings and inputs resumes or is skipped; with other
ones it starts anew, and the former folder is kept beside it under another name.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from skfm_lib.presets import Preset, preset
from skfm_lib.study.provenance import provenance
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, write_json
from skfm_lib.utils.paths import project_root


@dataclass(frozen=True)
class Study:
    """One run of the study: a preset, a seed and a folder."""

    name: str
    settings: Preset
    seed: int
    folder: Path

    def but(self, group: str, **changes: object) -> "Study":
        """This study with `changes` in a group of its settings, such as "sampling".

        A value of None leaves its setting alone; unknown ones raise SkfmError.
        """
        changed = getattr(self.settings, group).but(**changes)
        return replace(self, settings=replace(self.settings, **{group: changed}))

    def stage(
        self, name: str, settings: Mapping[str, object], after: tuple[str, ...] = ()
    ) -> "Stage":
        """Begin or resume a stage; `after` names the stages whose results it reads.

        Raises SkfmError when one of those is not finished, with the command for it.
        """
        inputs = {up: self.finished(up).fingerprint for up in after}
        plain = json.loads(json.dumps({"seed": self.seed, **settings}))
        stage = Stage(self, name, plain, inputs)
        stage.begin()
        return stage

    def cell(
        self,
        folder: str,
        label: str,
        settings: Mapping[str, object],
        after: tuple[str, ...],
    ) -> "Stage":
        """One run of a grid of experiments: ``folder/label-FINGERPRINT``.

        As `stage`, but beside those of other settings, so that nothing is set aside.
        `settings` hold the cell's own seed.
        """
        inputs = {up: self.finished(up).fingerprint for up in after}
        plain = json.loads(json.dumps(dict(settings)))
        fingerprint = Stage(self, label, plain, inputs).fingerprint
        cell = Stage(self, f"{folder}/{label}-{fingerprint}", plain, inputs)
        cell.record()
        return cell

    def finished(self, name: str) -> "Stage":
        """The finished stage `name`, or SkfmError with the command that makes it."""
        path = self.folder / name / "done.json"
        if not path.is_file():
            raise SkfmError(
                f"run {self.name!r} has no finished {name}",
                str(path),
                f"skfm run {name[:2]} --run {self.name} --preset {self.settings.name}"
                f" --seed {self.seed}",
            )
        done = read_json(path)
        return Stage(self, name, done["settings"], done["inputs"])


@dataclass
class Stage:
    """One step of a study, in a folder of its own."""

    study: Study
    name: str
    settings: dict[str, object]
    inputs: dict[str, str]
    started: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> Path:
        """Where the stage keeps its files."""
        return self.study.folder / self.name

    @property
    def fingerprint(self) -> str:
        """Hash of the settings and of the fingerprints of the inputs."""
        text = json.dumps([self.settings, self.inputs], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def done(self) -> bool:
        """True when the stage was finished with these settings."""
        return (self.folder / "done.json").is_file()

    @property
    def results(self) -> dict[str, object]:
        """What the finished stage recorded."""
        return read_json(self.folder / "done.json")["results"]

    def begin(self) -> None:
        """Set aside a folder of other settings; bring back one of these settings."""
        found = self.folder / "stage.json"
        former = read_json(found) if found.is_file() else None
        if former and former["fingerprint"] != self.fingerprint:
            self._set_aside(former)
        if not found.is_file():
            self._bring_back()
        self.record()
        state = "is finished: kept" if self.done else "runs"
        print(f"{self.name} of run {self.study.name!r} {state}")

    def record(self) -> None:
        """Write down the settings and the inputs that it runs with."""
        record = {"settings": self.settings, "inputs": self.inputs}
        content = {"fingerprint": self.fingerprint, **record}
        write_json(self.folder / "stage.json", content)

    def finish(self, **results: object) -> None:
        """Record the results; from now on the stage is skipped."""
        if self.done:
            return
        record = {
            "fingerprint": self.fingerprint,
            "settings": self.settings,
            "inputs": self.inputs,
            "results": results,
            "seconds": round(time.monotonic() - self.started, 1),
            **provenance(),
        }
        write_json(self.folder / "done.json", record)

    def _set_aside(self, former: dict) -> None:
        target = self.folder.with_name(f"{self.name}.{former['fingerprint']}")
        was, now = former["settings"], self.settings
        changes = [
            f"{key} {was.get(key)} → {now.get(key)}"
            for key in sorted({*was, *now})
            if was.get(key) != now.get(key)
        ] or ["its inputs changed"]
        print(f"{self.name} starts anew ({', '.join(changes)}); kept: {target.name}")
        os.replace(self.folder, target)

    def _bring_back(self) -> None:
        kept = self.folder.with_name(f"{self.name}.{self.fingerprint}")
        if kept.is_dir() and not self.folder.exists():
            os.replace(kept, self.folder)


def open_study(
    run: str | None = None, preset_name: str = "quick", seed: int = 0
) -> Study:
    """The study ``runs/<run>`` of this project, made if it is new.

    `run` defaults to the preset's name (with the seed, unless that is 0).  Raises
    SkfmError when the run exists with another preset or seed.
    """
    settings = preset(preset_name)
    name = run or (preset_name if seed == 0 else f"{preset_name}-seed{seed}")
    folder = project_root() / "runs" / name
    record = folder / "run.json"
    wanted = {"preset": preset_name, "seed": seed}
    if not record.is_file():
        write_json(record, {**wanted, **provenance()})
    found = read_json(record)
    if any(found[key] != value for key, value in wanted.items()):
        raise SkfmError(
            f"run {name!r} has preset {found['preset']} and seed {found['seed']}, "
            f"not {preset_name} and {seed}",
            remedy="choose another run name (-p run NAME)",
        )
    return Study(name, settings, seed, folder)
