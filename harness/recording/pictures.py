"""The post's pictures: where a sample of a model's states lies, as records of results.json."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from layerclaims.errors import NotTestedError
from layerclaims.experiments.geometry import reduction
from layerclaims.experiments.pictures import RAW, UNIT, WITH_FIRST, planes
from layerclaims.experiments.study import Study
from layerclaims.metrics.geometry import Reducer
from layerclaims.metrics.plane import Grid, on_grid
from layerclaims.recording.exhibits import left_out, reason
from layerclaims.results.file import plain
from layerclaims.results.picture_records import AxisRecord, PictureRecord, PicturesRecord

REDUCERS: Final[tuple[Reducer, ...]] = ("t-SNE", "UMAP")
REDUCTIONS: Final = "reductions"  # the figure of a claim: where it is drawn, t-SNE and UMAP were run


def pictures(study: Study, *, reduced: bool) -> PicturesRecord:
    """PCA as in the post's figures 2 to 4, then t-SNE and UMAP of unit vectors.

    t-SNE and UMAP take much time, so theirs are the places that the claim about them has found; `reduced` says
    whether it has. What cannot be drawn is absent with its reason, whatever it is: no verdict hangs on a picture.
    """
    kinds = {RAW: "vectors as they are", UNIT: "unit vectors", WITH_FIRST: "unit vectors with state 0"}
    wanted: dict[str, Callable[[], PictureRecord]] = {}
    for kind, words in kinds.items():
        title = f"PCA, {words}"
        wanted[title] = partial(_pca, study, title, kind)
    for reducer in REDUCERS:
        title = f"{reducer}, {kinds[WITH_FIRST]}"
        wanted[title] = partial(_reduced, study, title, reducer, there=reduced)
    drawn, missing = [], {}
    for title, draw in wanted.items():
        try:
            record = draw()
            PictureRecord.model_validate(plain(record))  # rounded, as the file has it
            drawn.append(record)
        except NotTestedError as error:
            missing[title] = reason(error)
        except Exception as error:  # whatever it is, hours of work must not be lost to a picture
            missing[title] = left_out(f"the picture {title}", error)
    return PicturesRecord(
        protocol=study.protocol.name,
        first_position=study.first_position,
        pictures=tuple(drawn),
        missing=missing,
    )


def _pca(study: Study, title: str, kind: str) -> PictureRecord:
    study.check(planes)
    found = study.values(planes)
    places, shares = found.arrays[f"{kind}/places"], found.arrays[f"{kind}/shares"]
    grid = on_grid(places, alike=False)
    axes = tuple(
        AxisRecord(share=float(share), low=low, step=step)
        for share, low, step in zip(shares, grid.low, grid.step, strict=True)
    )
    states = study.states[-len(places) :]  # without state 0 where there are fewer
    return PictureRecord(
        title=title,
        method="PCA",
        n_documents=found.facts["documents"],
        states=tuple(states),
        **_cells(grid),
        axes=axes,
    )


def _reduced(study: Study, title: str, reducer: Reducer, *, there: bool) -> PictureRecord:
    study.check(reduction(reducer))
    if not there:
        raise NotTestedError(f"No claim of this run that has a verdict compares {reducer} with PCA.")
    found = study.values(reduction(reducer))
    grid = on_grid(found.arrays["places"], alike=True)
    return PictureRecord(
        title=title,
        method=reducer,
        n_documents=found.facts["documents"],
        states=tuple(study.states),
        **_cells(grid),
        axes=(),
    )


def _cells(grid: Grid) -> dict[str, Any]:
    return {"x": grid.cells[..., 0], "y": grid.cells[..., 1]}
