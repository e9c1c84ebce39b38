"""What the aligner must beat, computed once for a study's test and its poses."""

from skfm_lib import presets
from skfm_lib.study import Study, stage_names
from skfm_lib.tasks.alignment import icp_errors
from skfm_lib.tasks.experiments.runs import ALIGNMENT
from skfm_lib.tasks.experiments.skull_pool import SkullPool
from skfm_lib.tasks.icp_baseline import reference_skull


def closest_points(
    study: Study, pool: SkullPool, settings: presets.AlignerConfig
) -> dict[str, float]:
    """Test skull → its distance after iterative closest points, mm (`icp_errors`).

    settings  of which points and the range of poses count
    """
    chosen = {
        name: getattr(settings, name) for name in ("points", "degrees", "millimetres")
    }
    chosen["seed"] = study.seed
    cell = study.experiment(
        ALIGNMENT.folder, "closest-points", chosen, (stage_names.DATA,)
    )
    if not cell.done:
        errors = icp_errors(pool.test, reference_skull(), settings, study.seed)
        cell.finish(errors=dict(zip(pool.test.names, errors.tolist())))
    return cell.results["errors"]
