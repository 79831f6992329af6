"""How accuracy depends on what the probe is given: more documents, longer texts, a larger model."""

from itertools import pairwise

from harness import variants
from harness.claim import Measured
from harness.errors import NotTestedError
from harness.study import RAW_OF, Study


def gain_of_context(study: Study) -> Measured:
    """Accuracy at the run's own context minus that at the shortest one; NotTestedError where both are the same."""
    longest = study.protocol.context
    shortest = variants.contexts(longest)[variants.SHORTEST]
    if shortest == "raw":
        raise NotTestedError(
            f"The run's context is {longest} tokens, and nothing shorter is compared; raise --context."
        )
    return study.difference("raw", shortest, name="accuracy gained by a longer context")


def models_by_size(study: Study) -> list[str]:
    """The models of the run from the smallest to the largest; NotTestedError for fewer than two."""
    if len(study.family) < 2:
        raise NotTestedError("One model alone has no larger one: give --model several times.")
    return sorted(study.family, key=lambda name: (study.family[name].facts.n_parameters, name))


def steps_of_size(study: Study) -> list[Measured]:
    """Accuracy on each model minus that on the next larger one, paired by document.

    NotTestedError for fewer than two models, or two of the same size.
    """
    names = models_by_size(study)
    steps = []
    for smaller, larger in pairwise(names):
        if study.family[smaller].facts.n_parameters == study.family[larger].facts.n_parameters:
            raise NotTestedError(
                f"{smaller} and {larger} have the same number of parameters: neither is larger."
            )
        series = (f"{RAW_OF}{smaller}", f"{RAW_OF}{larger}")
        steps.append(study.difference(*series, name=f"accuracy on {smaller} minus that on {larger}"))
    return steps
