"""A public head CT: the sample of InVesalius."""

import shutil
from pathlib import Path

import pooch

from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing

NAME = "Cranium.inv3"
CACHE = Path(pooch.os_cache("skfm"))
SHA256 = "3b34f11f7c4f557f4c65cd6543c412a2f6ceb0cfecfd9c41184420e02d9b7e2a"
URL = f"https://github.com/invesalius/invesalius3/raw/master/samples/{NAME}"


def fetch_sample(folder: Path, file: Path | None = None) -> Path:
    """InVesalius' sample Cranium in `folder`, downloaded once or copied from `file`.

    A head CT of 256×256×108 voxels (0.96×0.96×1.5 mm), GPL-2, with a head holder in
    view and a surgical defect of the frontal bone; 19 MB.  Its checksum is verified.

    Raises:
        SkfmError: without a network, or if the file is another; it states where to
            get the file.
    """
    target = Path(folder) / NAME
    try:
        if file is None:
            pooch.get_logger().setLevel("WARNING")
            pooch.retrieve(URL, f"sha256:{SHA256}", NAME, target.parent)
            return target
        if pooch.file_hash(file, "sha256") != SHA256:
            raise ValueError("it is another file")
    except (OSError, ValueError) as reason:
        why = "cannot be fetched" if file is None else "is not InVesalius' sample"
        raise SkfmError(
            f"{URL if file is None else file} {why}",
            f"a file of SHA-256 {SHA256}",
            f"get samples/{NAME} of the InVesalius project in any other way (Debian "
            "and Ubuntu: package invesalius-examples), then skfm sample --file FILE",
        ) from reason
    with replacing(target) as temporary:
        shutil.copyfile(file, temporary)
    return target
