"""How accuracy depends on the size of the model."""

from itertools import pairwise

from layerclaims.errors import NotTestedError
from layerclaims.experiments.runs import accuracy_by_model, raw_of
from layerclaims.experiments.study import Study
from layerclaims.quantities.computed import quantity
from layerclaims.quantities.counts import difference
from layerclaims.verdicts.evidence import Finding


def models_by_size(study: Study) -> list[str]:
    """The models of the run from the smallest to the largest."""
    return sorted(study.family, key=lambda name: (study.family[name].facts.n_parameters, name))


@quantity("accuracy on a model minus that on the next larger one", accuracy_by_model, several=True)
def steps_of_size(study: Study) -> list[Finding]:
    """Accuracy on each model minus that on the next larger one, paired by document.

    NotTestedError for two of the same size.
    """
    steps: list[Finding] = []
    for smaller, larger in pairwise(models_by_size(study)):
        if study.family[smaller].facts.n_parameters == study.family[larger].facts.n_parameters:
            raise NotTestedError(
                f"{smaller} and {larger} have the same number of parameters: neither is larger."
            )
        name = f"accuracy on {smaller} minus that on {larger}"
        steps += difference(raw_of(smaller), raw_of(larger), name=name).find(study)
    return steps
