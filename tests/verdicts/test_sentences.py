"""Why a verdict is what it is: a whole sentence on either side of a pass mark, and what a failure means."""

import pytest
from layerclaims.statistics.estimate import Estimate
from layerclaims.verdicts.criterion import Criterion
from layerclaims.verdicts.evidence import Evidence, Finding, Part
from layerclaims.verdicts.sentences import MOST_DOCUMENTS
from layerclaims.verdicts.verdict import decide


def said(relation, threshold, *interval, value=None, confidence=0.95, otherwise="", method="BCa"):
    low, high = interval
    estimate = Estimate(
        value=(low + high) / 2 if value is None else value,
        low=low,
        high=high,
        confidence=confidence,
        method=method,
        n_documents=200,
    )
    criterion = Criterion(relation=relation, threshold=threshold, otherwise=otherwise)
    finding = Finding(name="accuracy", estimate=estimate, n_documents=200, n_vectors=6200)
    return decide(Evidence(parts=(Part(finding=finding, criterion=criterion),)))[1]


@pytest.mark.parametrize(
    ("relation", "threshold", "interval", "words"),
    [
        (">", 0.274, (0.928, 0.936), "is .932 (95 % interval .928 to .936), above the required .274."),
        (">", 0.274, (0.1, 0.2), "is .150 (95 % interval .100 to .200), not above the required .274."),
        (">", 0.0, (-0.2, -0.1), "is -.150 (95 % interval -.200 to -.100), not above 0."),
        ("<", 0.129, (0.04, 0.05), "is .045 (95 % interval .040 to .050), below the limit of .129."),
        ("<", 0.129, (0.2, 0.3), "is .250 (95 % interval .200 to .300), not below the limit of .129."),
        ("inside", (-0.01, 0.01), (0.1, 0.2), "is .150 (95 % interval .100 to .200), not within the margin of ±.010."),
        ("not above", 0.03, (0.01, 0.05), "is .030 (95 % interval .010 to .050), not above .030."),
        (">", 0.274, (0.2, 0.3), "is .250 (95 % interval .200 to .300). The interval crosses the pass mark of .274; "
         "about 870 documents might decide it."),
        ("not above", 0.03, (0.04, 0.05), "is .045 (95 % interval .040 to .050). This control should not lie above "
         ".030 and does, so something leaks."),
        ("contains", 0.03, (0.04, 0.05), "is .045 (95 % interval .040 to .050). This control should be .030 and is "
         "not, so something leaks."),
    ],
)  # fmt: skip
def test_a_number_its_interval_and_the_pass_mark_make_a_sentence(relation, threshold, interval, words):
    assert said(relation, threshold, *interval) == f"Accuracy {words}"


def test_the_confidence_is_that_of_the_interval():
    assert "(99.8 % interval" in said("not above", 0.03, 0.01, 0.05, confidence=0.998)


def test_what_a_failure_means_stands_before_its_numbers():
    meaning = "removing punctuation did not halve the loss"
    assert said(">", 0.0, -0.2, -0.1, otherwise=meaning).startswith(
        "Removing punctuation did not halve the loss. Accuracy is -.150 ("
    )
    for passing_or_open in ((0.1, 0.2), (-0.1, 0.1)):
        assert "punctuation" not in said(">", 0.0, *passing_or_open, otherwise=meaning)


def test_nobody_is_asked_for_more_documents_than_anyone_reads():
    sentence = said(">", 0.5, 0.45, 0.55, value=0.5 + 1e-12)
    assert sentence.endswith(f"; more than {MOST_DOCUMENTS:,} documents would be needed to decide it.")
