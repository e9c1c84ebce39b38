"""What the files of a folder are that are no scans, as far as their names tell."""

from skfm_lib.data.io.archives import ARCHIVE_SUFFIXES
from skfm_lib.utils.files import suffix

HIDDEN, EMPTY, UNKNOWN = "hidden files", "empty files", "files of unknown kinds"
INDEX = "DICOM index files"
_SYSTEMS = (".", "__MACOSX", "@eaDir", "$RECYCLE.BIN", "Thumbs.db", "desktop.ini")
PICTURES, TEXTS = "pictures and films", "texts, tables and documents"
PROGRAMS = "programs, as of the viewer on a CD"
VOXELS = "files of raw voxels, read through the header beside them (.mhd, .nhdr)"
OTHER_SCANS = "scans or meshes in other formats: convert to NIfTI, NRRD, STL or PLY"
PACKED = "archives of other kinds or within archives: unpack them"
_ENDS = {
    PICTURES: "png jpg jpeg gif bmp tif tiff webp svg eps avi mp4 mov mkv mpg wmv",
    TEXTS: "txt md rst csv tsv json xml yaml yml htm html css js pdf rtf log ini "
    "doc docx odt xls xlsx ods ppt pptx py ipynb m r mtl salt",
    PROGRAMS: "exe dll inf msi jar class bat sh so ocx cab",
    VOXELS: "raw zraw",
    OTHER_SCANS: "hdr mgz mgh mnc vtk vtu vti vtm fbx 3mf dae step stp iges "
    "igs blend amf wrl x3d mat npy npz h5 hdf5 par rec mcs mrb mrml",
    PACKED: "7z rar bz2 tbz xz txz zst lz4 lzma iso z",
}
_KINDS = {f".{end}": kind for kind, ends in _ENDS.items() for end in ends.split()}


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that a system hides."""
    return name.startswith(_SYSTEMS)


def kind_of(key: str, within_archive: bool) -> str:
    """The kind of a file that is no volume or mesh, or "": only its content tells.

    >>> kind_of("a/notes.TXT", within_archive=False)
    'texts, tables and documents'
    >>> kind_of("a/IM0001", within_archive=False)
    ''
    """
    parts = key.split("/")
    if any(map(is_hidden, parts)):
        return HIDDEN
    if parts[-1].lower().startswith("dicomdir"):
        return INDEX
    end = suffix(key)
    if within_archive and end in ARCHIVE_SUFFIXES:
        return PACKED
    return _KINDS.get(end, "")
