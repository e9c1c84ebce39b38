"""Public sets known by the names in them: whose scan a file is, and which to leave.

CQ500 (Chilamkurthy et al. 2018), MUG500+ (Li et al. 2021), SkullBreak and SkullFix
(Kodym et al. 2021); and any folder with a folder a patient.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from skfm_lib.utils.errors import SkfmError

CQ500 = re.compile(r"(?:^|/)CQ500[-_ ]?CT[-_ ]?0*(\d+)(?!\d)", re.I)
# Archives CQ500-CT-12.zip, folders "CQ500CT12 CQ500CT12/Unknown Study/CT Plain Thin".
# Series that are no whole head, from the notes that users of CQ500 have published:
# cases, what the series' folder is called ("" for all of a case), what it holds.
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
PER_PATIENT = 6  # volumes and meshes in one folder, at most, that are one patient's


class Layout:
    """What the places of all files together tell, each below the user's folder."""

    def __init__(self, keys: Iterable[str], scans: Iterable[str]) -> None:
        """`keys` of all files, and those of the volumes and meshes among them."""
        self.keys = set(keys)
        self.cq500 = any(CQ500.search(key) for key in self.keys)
        self.owners = _owners(scans)
        self.fractures: dict[str, str] = {}

    def patient(self, key: str) -> str:
        """Whose scan it is, or "" where the place does not tell."""
        if case := CQ500.search(key):
            return f"CQ500CT{case[1]}"
        if skull := MUG500.search(key):
            return f"MUG500+ {skull[1]}"
        if skull := AUTOIMPLANT.search(key):
            return f"{key[: skull.start()]} {skull[2]}"
        return self.owners.get(key, "")

    def left_out(self, key: str) -> str:
        """Why a file is none to prepare, or ""."""
        if case := CQ500.search(key):
            called = _letters(str(PurePosixPath(key).parent))
            for cases, name, what in BAD_SERIES:
                if int(case[1]) in cases and name in called:
                    return f"CQ500: {what}, known to its users"
        if skull := AUTOIMPLANT.search(key):
            if skull[1] != "complete_skull":
                return "SkullBreak and SkullFix: defects and implants of whole skulls"
            if self.cq500:
                return "SkullBreak and SkullFix: made of CQ500, which is here too"
        if skull := MUG500.search(key):
            return self._mug500(key, skull)
        return ""

    def note(self, key: str) -> str:
        """What the set says of a scan, or ""."""
        skull = MUG500.search(key)
        if skull and skull[1].startswith("B"):
            return "craniotomy"
        return self.fractures.get(self.patient(key), "")

    def _mug500(self, key: str, skull: re.Match) -> str:
        if skull[2] == "_implant":
            return "MUG500+: implants"
        place = key[: skull.start(1)] + f"{skull[1]}/{skull[1]}"
        ranks = [f"{place}_clear.stl", f"{place}.nrrd", f"{place}.stl"]
        best = next((other for other in ranks if other in self.keys), key)
        return "" if key == best else "MUG500+: other files of the same skulls"


def read_fractures(table: Path) -> dict[str, str]:
    """Patient → what CQ500's reads.csv says, such as "fracture (2 of 3 readers)".

    Its columns are name, and R1:Fracture to R3:Fracture, 1 where a reader saw one.
    """
    notes = {}
    try:
        with table.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, csv.Error) as reason:
        expected = "CQ500's table of readings"
        raise SkfmError(f"{table} is damaged", expected, "copy it again") from reason
    for row in rows:
        case = CQ500.search(row.get("name") or "")
        readers = [key for key in row if re.fullmatch(r"R\d:Fracture", key or "")]
        seen = sum(row[key] == "1" for key in readers)
        if case and seen:
            notes[f"CQ500CT{case[1]}"] = f"fracture ({seen} of {len(readers)} readers)"
    return notes


def _owners(keys: Iterable[str]) -> dict[str, str]:
    """Key → folder, where folders are patients: several, each with few scans.

    Archives count as the folders that they are.  One folder for all says nothing.
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


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
