"""Recognise public data sets by their file names: patients, and files to leave out.

CQ500 (Chilamkurthy et al. 2018), MUG500+ (Li et al. 2021), SkullBreak and SkullFix
(Kodym et al. 2021), and any folder with one subfolder per patient.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from skfm_lib.prepare.source import Item
from skfm_lib.utils.errors import SkfmError

CQ500 = re.compile(r"(?:^|/)CQ500[-_ ]?CT[-_ ]?0*(\d+)(?!\d)", re.I)
# Archives CQ500-CT-12.zip, folders "CQ500CT12 CQ500CT12/Unknown Study/CT Plain Thin".
# Series that do not show a complete head, from published notes of users of CQ500:
# cases, name of the series' folder ("" for every series of a case), what it shows.
PART = "a part of the head"
BAD_SERIES = (
    ((101,), "postcontrast2", PART),
    ((106,), "thinstnd", PART),
    ((116, 123, 143, 171, 189, 244, 259, 279, 280, 307, 315), "plainthin", PART),
    ((325, 327, 351, 352, 385, 387, 431, 433, 464, 481), "plainthin", PART),
    ((236, 273, 277, 282, 379), "0625mm", PART),
    ((172,), "thinplain", "a chest"),
    ((352,), "3dcthead", "pictures"),
    ((241,), "", "a damaged scan"),
)
MUG500 = re.compile(r"(?:^|/)([AB]\d{4})/\1(_clear|_implant)?\.(nrrd|stl)$")
AUTOIMPLANT = re.compile(
    r"(?:^|/)(complete_skull|defective_skull|implant)/(?:[^/]+/)?([^/]+)\.nrrd$"
)
READINGS = "reads.csv"  # CQ500's table of what radiologists saw
PER_PATIENT = 6  # scans that a folder of one patient contains at most


class Layout:
    """What can be inferred from the paths of all files below the user's folder."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.keys = {item.key for item in items}
        self.cq500 = any(CQ500.search(key) for key in self.keys)
        self.owners = owners(item.key for item in items if item.is_scan)
        self.fractures: dict[str, str] = {}
        for item in items:
            if self.cq500 and item.path.name == READINGS and not item.member:
                self.fractures |= read_fractures(item.path)

    def patient(self, key: str) -> str:
        """Identifier of the patient, or "" if the path does not determine it."""
        if case := CQ500.search(key):
            return f"CQ500CT{case[1]}"
        if skull := MUG500.search(key):
            return f"MUG500+ {skull[1]}"
        if skull := AUTOIMPLANT.search(key):
            return f"{key[: skull.start()]} {skull[2]}"
        return self.owners.get(key, "")

    def exclusion(self, key: str) -> str:
        """Why a file is left out, or ""."""
        if case := CQ500.search(key):
            folder = re.sub(r"[^a-z0-9]", "", str(PurePosixPath(key).parent).lower())
            for cases, name, content in BAD_SERIES:
                if int(case[1]) in cases and name in folder:
                    return f"CQ500: {content}, known to its users"
        if skull := AUTOIMPLANT.search(key):
            if skull[1] != "complete_skull":
                return "SkullBreak and SkullFix: defects and implants"
            if self.cq500:
                return "SkullBreak and SkullFix: made of CQ500, which is here too"
        if skull := MUG500.search(key):
            if skull[2] == "_implant":
                return "MUG500+: implants"
            # Of each skull the cleaned mesh is used, otherwise the mask.
            base = f"{key[: skull.start(1)]}{skull[1]}/{skull[1]}"
            ranked = [f"{base}_clear.stl", f"{base}.nrrd", f"{base}.stl"]
            if key != next((other for other in ranked if other in self.keys), key):
                return "MUG500+: other files of the same skulls"
        return ""

    def remark(self, key: str) -> str:
        """What the data set states about a scan, or ""."""
        skull = MUG500.search(key)
        if skull and skull[1].startswith("B"):
            return "craniotomy"
        return self.fractures.get(self.patient(key), "")


def read_fractures(table: Path) -> dict[str, str]:
    """Patient → fractures by CQ500's reads.csv, as "fracture (2 of 3 readers)".

    Its columns are name, and R1:Fracture to R3:Fracture, 1 where a reader saw one.
    """
    notes = {}
    try:
        with table.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, csv.Error) as reason:
        found, expected = f"{READINGS} is damaged", "CQ500's table of readings"
        raise SkfmError(found, expected, "copy it again") from reason
    for row in rows:
        case = CQ500.search(row.get("name") or "")
        readers = [key for key in row if re.fullmatch(r"R\d:Fracture", key or "")]
        seen = sum(row[key] == "1" for key in readers)
        if case and seen:
            notes[f"CQ500CT{case[1]}"] = f"fracture ({seen} of {len(readers)} readers)"
    return notes


def owners(keys: Iterable[str]) -> dict[str, str]:
    """Path → top-level folder, if at least two of these contain few scans each.

    Args:
        keys: Paths of volumes and meshes; archives count as folders.

    >>> owners(["Anna/before.nii", "Anna/after.nii", "Ben/ct.nii"])["Anna/after.nii"]
    'folder Anna'
    """
    folders = defaultdict(list)
    for key in keys:
        parts = PurePosixPath(key).parts
        if len(parts) > 1:
            folders[parts[0]].append(key)
    few = {name: own for name, own in folders.items() if len(own) <= PER_PATIENT}
    if len(few) < 2:
        return {}
    return {key: f"folder {name}" for name, own in few.items() for key in own}
