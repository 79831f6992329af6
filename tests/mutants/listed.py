"""All mutants, an area a module; the list grows with every fault that is found."""

from typing import Final

from tests.mutants.capturing import CAPTURING
from tests.mutants.devices import DEVICES
from tests.mutants.glue import GLUE
from tests.mutants.judging import JUDGING
from tests.mutants.metrics import METRICS
from tests.mutants.mutant import Mutant
from tests.mutants.probing import PROBING
from tests.mutants.reading import READING
from tests.mutants.statistics import STATISTICS

MUTANTS: Final[tuple[Mutant, ...]] = (
    *GLUE, *STATISTICS, *METRICS, *PROBING, *JUDGING, *READING, *CAPTURING, *DEVICES,
)  # fmt: skip
