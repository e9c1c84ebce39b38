"""Real scans as skulls of the study, and their reconstructions back in their frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyvista as pv
import SimpleITK as sitk

from skfm_lib.data.bone_fractions import stored
from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.io.meshes import MESH_SUFFIXES, read_mesh
from skfm_lib.data.io.sample_scan import HEADS, Head, head_of
from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.manifest import read_manifest
from skfm_lib.data.point_clouds import distance_to_surface
from skfm_lib.prepare.discovery import find_sources
from skfm_lib.prepare.export import export, read_like
from skfm_lib.prepare.extraction import read_surface, record_path
from skfm_lib.prepare.pseudonyms import pseudonym, read_salt
from skfm_lib.prepare.source import Source

OWN = "your scan"
POINTS = 20_000  # of a surface, evenly spread, from which distances are measured


@dataclass(frozen=True)
class RealScan:
    """A scan and its skull in a data set: `item` of the set, called `name` there."""

    item: int
    name: str
    source: Source
    head: Head | None  # the public head that it is

    @property
    def label(self) -> str:
        """The name of a public head; of others the code, which identifies no one."""
        return self.head.name if self.head else self.name


def prepared_skulls(folder: Path) -> SkullSet:
    """All skulls of a prepared folder, whatever scores they have; none is used."""
    rows = [
        replace(row, split="unlabelled", quality=None) for row in read_manifest(folder)
    ]
    return SkullSet(folder, "unlabelled", rows)


def real_scans(heads: Path, skulls: SkullSet) -> list[RealScan]:
    """The scans at `heads` that `skulls` was prepared from, public heads first."""
    salt = read_salt(skulls.folder)
    with Sandbox() as sandbox:
        found = find_sources(heads, skulls.folder, sandbox)
    sources = {pseudonym(salt, source.key): source for source in found.sources}
    scans = []
    for item, skull in enumerate(skulls.skulls):
        source = sources[skull.name]
        head = head_of([file.path for file in source.items])
        scans.append(RealScan(item, skull.name, source, head))
    order = {head: k for k, head in enumerate(HEADS)}
    return sorted(scans, key=lambda s: order[s.head] if s.head else len(order))


def overview(
    scans: Sequence[RealScan], problems: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Label → what each scan is and its role; and what is not here, and why.

    Public heads that are missing are named if there are others of them.  `problems` are
    those of the report of `prepare`.
    """
    rows = {}
    present = {scan.head for scan in scans if scan.head}
    for head in HEADS if present else ():
        here = "yes" if head in present else f"no: `skfm sample {head.name}`"
        rows[head.name] = {"it is": head.about, "role": head.role, "here": here}
    own = {"it is": OWN, "role": "none", "here": "yes"}
    rows |= {scan.label: own for scan in scans if not scan.head}
    return rows | {name: {"here": f"no: {why}"} for name, why in problems.items()}


class PutBack(NamedTuple):
    """A skull in the frame of its scan.

    Attributes:
        distances: Mean distance of the bone's surface in the scan from that of the
            prepared skull and of its reconstruction, mm (see `surface_distance`).
        scan: The scan, with axes turned to RAS; None for a mesh.
        outline: The reconstruction on the voxels of the scan; None for a mesh.
    """

    distances: dict[str, float]
    scan: sitk.Image | None
    outline: Path | None


def put_back(
    scan: RealScan,
    reconstruction: np.ndarray,
    skulls: SkullSet,
    folder: Path,
    threshold: float,
    sandbox: Sandbox,
) -> PutBack:
    """Export a scan's skull and its `reconstruction` v (D, H, W) to it.

    `folder` gets the files; `threshold` is that of the bone in the scan, HU.
    """
    bone = sandbox(read_surface, scan.source, threshold)[0]
    prepared = skulls.folder / skulls.skulls[scan.item].file
    made = folder / f"{scan.name}.nii.gz"
    write_volume(made, stored(reconstruction, skulls.grid), skulls.grid)
    record = str(record_path(prepared))
    distances = {}
    for name, volume in (("prepared skull", prepared), ("reconstruction", made)):
        back = folder / f"{scan.name} {name}.ply"
        export(volume, back, sandbox, scan.source, record)
        distances[f"{name}, mm"] = surface_distance(read_mesh(back), bone)
    if scan.source.suffix in MESH_SUFFIXES:
        return PutBack(distances, None, None)
    outline = folder / f"{scan.name} back.nii.gz"
    export(made, outline, sandbox, scan.source, record)
    return PutBack(distances, read_like(scan.source, sandbox), outline)


def surface_distance(a: pv.PolyData, b: pv.PolyData) -> float:
    """Mean distance between two surfaces, in their unit, over both directions.

    Measured from about POINTS points of each surface to the nearest of the other's
    triangles.

    >>> round(surface_distance(pv.Sphere(radius=10), pv.Sphere(radius=12)), 1)
    2.0
    """
    there, back = (
        distance_to_surface(np.asarray(p.points)[:: -(-p.n_points // POINTS)], other)
        for p, other in ((a, b), (b, a))
    )
    return float(there.mean() + back.mean()) / 2
