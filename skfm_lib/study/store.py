"""A study on disk: run folder, stages, fingerprints, provenance.

    runs/<run>/run.json               preset, seed, when and where it was made
    runs/<run>/<NN_stage>/stage.json  the settings it runs with, their fingerprint
    runs/<run>/<NN_stage>/done.json   the same, with results: the stage is finished

The same stage with the same settings and inputs resumes or is skipped; with other
ones it starts anew, and the former folder is kept beside it under another name.  A
finished stage whose inputs have changed since is stale, and is not built upon.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from skfm_lib.presets import Preset
from skfm_lib.study.provenance import provenance
from skfm_lib.study.repair import repair
from skfm_lib.study.stage_names import NEEDS
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, write_json

DONE = ("fingerprint", "settings", "inputs", "results")  # keys of done.json


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
        self, name: str, settings: Mapping[str, object], after: Sequence[str] = ()
    ) -> "Stage":
        """Begin or resume a stage; `after` names the stages whose results it reads.

        Raises:
            SkfmError: where one of those is not finished, or is stale (`finished`).
        """
        plain = json.loads(json.dumps({"seed": self.seed, **settings}))
        stage = Stage(self, name, plain, self._inputs(after))
        stage.begin()
        return stage

    def experiment(
        self,
        folder: str,
        label: str,
        settings: Mapping[str, object],
        after: Sequence[str],
    ) -> "Stage":
        """One experiment of a grid, in ``folder/label-FINGERPRINT``.

        As `stage`, but beside those of other settings, so that nothing is set aside.
        `settings` hold the experiment's own seed.
        """
        plain, inputs = json.loads(json.dumps(dict(settings))), self._inputs(after)
        fingerprint = Stage(self, label, plain, inputs).fingerprint
        experiment = Stage(self, f"{folder}/{label}-{fingerprint}", plain, inputs)
        experiment.record()
        return experiment

    def finished(self, name: str) -> "Stage":
        """The finished stage `name`.

        Raises:
            SkfmError: where it is not finished, and where it is stale: it, or one
                that it was made from, was made from inputs that have changed since.
                The error holds one command that makes all that is lacking.
        """
        self._require((name,))
        return self._read(name)

    def is_finished(self, name: str) -> bool:
        """Whether `finished` would return."""
        return not self._lacking(name)

    def _require(self, names: Sequence[str]) -> None:
        """SkfmError unless all are finished, with one command for all that lack."""
        lacking = {k: why for name in names for k, why in self._lacking(name).items()}
        if not lacking:
            return
        name = next(name for name in names if name in lacking)
        stale = [why for why in lacking.values() if why]
        found = stale[0] if lacking[name] else f"there is no finished {name}"
        command = repair(self.folder, list(lacking), self.settings.name, self.seed)
        raise SkfmError(f"run {self.name!r}: {found}", remedy=command)

    def _read(self, name: str) -> "Stage":
        done = read_json(self.folder / name / "done.json", *DONE)
        return Stage(self, name, done["settings"], done["inputs"])

    def _lacking(self, name: str) -> dict[str, str]:
        """What to run, in order, so that `name` is finished: stage → why it is stale.

        "" stands for a stage that is not finished.
        """
        done = (self.folder / name / "done.json").is_file()
        inputs = self._read(name).inputs if done else dict.fromkeys(NEEDS.get(name, ()))
        lacking = {k: v for up in inputs for k, v in self._lacking(up).items()}
        if not done:
            return {**lacking, name: ""}
        for up, fingerprint in inputs.items():
            if up in lacking or self._read(up).fingerprint != fingerprint:
                why = f"{name} is stale, made from another {up} than there is now"
                return {**lacking, name: why}
        return lacking

    def _inputs(self, after: Sequence[str]) -> dict[str, str]:
        self._require(after)
        return {name: self._read(name).fingerprint for name in after}


@dataclass
class Stage:
    """One step of a study, in a folder of its own."""

    study: Study
    name: str
    settings: dict[str, Any]
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
    def results(self) -> dict[str, Any]:
        """What the finished stage recorded."""
        return read_json(self.folder / "done.json", *DONE)["results"]

    @property
    def made(self) -> dict[str, Any]:
        """What made the finished stage: commit, time, device, versions, seconds."""
        return read_json(self.folder / "done.json")

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
        """Write down what it runs with; for a new run, also what that run is."""
        run = self.study.folder / "run.json"
        if not run.is_file():
            about = {"preset": self.study.settings.name, "seed": self.study.seed}
            write_json(run, {**about, **provenance()})
        write_json(self.folder / "stage.json", self._content)

    @property
    def _content(self) -> dict[str, object]:
        content = {"settings": self.settings, "inputs": self.inputs}
        return {"fingerprint": self.fingerprint, **content}

    def finish(self, **results: object) -> None:
        """Record the results; from now on the stage is skipped.

        Named tuples, such as intervals, are kept as records of their fields.
        """
        if self.done:
            return
        seconds = round(time.monotonic() - self.started, 1)
        about = {"results": results, "seconds": seconds, **provenance()}
        write_json(self.folder / "done.json", {**self._content, **about})

    def _set_aside(self, former: dict) -> None:
        target = self.folder.with_name(f"{self.name}.{former['fingerprint']}")
        was, now = former["settings"], self.settings
        changes = [
            f"{key} {was.get(key)} → {now.get(key)}"
            for key in sorted({*was, *now})
            if was.get(key) != now.get(key)
        ] or [
            f"another {name}"
            for name, fingerprint in self.inputs.items()
            if former["inputs"].get(name) != fingerprint
        ]
        print(f"{self.name} starts anew ({', '.join(changes)}); kept: {target.name}")
        os.replace(self.folder, target)

    def _bring_back(self) -> None:
        kept = self.folder.with_name(f"{self.name}.{self.fingerprint}")
        if kept.is_dir() and not self.folder.exists():
            os.replace(kept, self.folder)
