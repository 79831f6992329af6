"""How a function of a study becomes a figure of the report."""

from collections.abc import Callable

from layerclaims.experiments.measurement import Measurement, Series
from layerclaims.experiments.study import Study
from layerclaims.protocol import Protocol
from layerclaims.results.figure_records import FigureRecord
from layerclaims.verdicts.declaration import Figure

Needed = Measurement | Series


def figure(
    *needs: Needed, of_protocol: Callable[[Protocol], tuple[Needed, ...]] | None = None
) -> Callable[[Callable[[Study], FigureRecord]], Figure]:
    """Make a function of a study a figure, whose id is its name with hyphens.

    `needs` are the measurements, or the series, that it draws; `of_protocol` names more of them where they depend
    on the run's options.
    """

    def make(draw: Callable[[Study], FigureRecord]) -> Figure:
        def needed(protocol: Protocol) -> tuple[Measurement, ...]:
            all_needs = (*needs, *(of_protocol(protocol) if of_protocol else ()))
            return tuple(dict.fromkeys(one.of if isinstance(one, Series) else one for one in all_needs))

        return Figure(id=draw.__name__.strip("_").replace("_", "-"), needs=needed, draw=draw)

    return make
