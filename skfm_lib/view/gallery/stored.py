"""A viewer in a file, for pages whose skulls are made once: `{skulls}` of the book."""

from pathlib import Path

from skfm_lib.data.io.volumes import read_volume
from skfm_lib.data.manifest import read_manifest
from skfm_lib.utils.files import read_json, write_json
from skfm_lib.view.gallery.exhibits import Exhibit
from skfm_lib.view.gallery.viewer import Viewer, inline


def save(viewer: Viewer, path: Path, about: str) -> None:
    """Write the skulls of a viewer as JSON; `about` says what made them."""
    skulls = [vars(one) for one in viewer.exhibits]
    layout = {"columns": viewer.columns, "stage": viewer.stage}
    write_json(path, {"about": about, **layout, "skulls": skulls})


def load(path: Path) -> tuple[Viewer, str]:
    """The viewer of a file of `save`, and what made its skulls.

    Raises:
        SkfmError: for a file that is missing or damaged.
    """
    found = read_json(path, "about", "columns", "stage", "skulls")
    exhibits = [Exhibit(**one) for one in found["skulls"]]
    return Viewer(exhibits, found["columns"], found["stage"]), found["about"]


def viewer_of(folder: Path, count: int = 4, columns: int = 4) -> Viewer:
    """The first `count` skulls of a data set, such as `skfm generate` writes.

    Raises:
        SkfmError: for a damaged data set.
    """
    skulls = read_manifest(folder)[:count]
    found = [read_volume(folder / skull.file) for skull in skulls]
    names = [f"Generated, QS {skull.quality}" for skull in skulls]
    if len(set(names)) < len(names):
        names = [f"{name}, {i}" for i, name in enumerate(names, 1)]
    volumes = {name: volume for name, (volume, _) in zip(names, found)}
    return inline(volumes, found[0][1], columns=columns)
