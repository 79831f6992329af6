"""How many documents would decide an open question."""

from math import ceil, isfinite, log

from layerclaims.statistics.estimate import Estimate, log_none_differs, tail_level


def documents_to_decide(estimate: Estimate, threshold: float) -> int | None:
    """About how many documents would make the interval clear the threshold, if value and spread stay.

    The half-width facing the threshold shrinks with the square root of the number of documents (with the
    number itself, about, for an exact bound). At that number the chance to decide is about one half. None where the
    estimate stands at the threshold, or its interval is not finite.
    """
    distance = estimate.value - threshold
    width = estimate.value - estimate.low if distance > 0 else estimate.high - estimate.value
    if not isfinite(distance) or not isfinite(width) or distance == 0 or estimate.method == "bound":
        return None
    if estimate.method == "exact":
        room = estimate.value - estimate.support[0] if distance > 0 else estimate.support[1] - estimate.value
        if abs(distance) >= room:
            return 1
        return ceil(
            log(tail_level(estimate.confidence)) / log_none_differs(abs(distance) / room, estimate.vectors)
        )
    return max(1, ceil(estimate.n_documents * (width / distance) ** 2))
