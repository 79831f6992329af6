"""What a file says of its run: options, model, corpora, and which claims it has, against one another."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from layerclaims.errors import LayerclaimsError
from layerclaims.protocol import CHANGES, Protocol, displayed
from layerclaims.results.agreement import Mismatches, same
from layerclaims.results.records import ProtocolRecord, Results
from layerclaims.runtime.text import shown
from layerclaims.verdicts.claim import POST
from layerclaims.verdicts.quantity import Setup
from layerclaims.verdicts.registry import RegisteredClaim

# of a model, and of a run: what a hostile file may make this program compute is bounded
MOST_DIMENSIONS: Final = 200_000
MOST_LABELS: Final = 2_000
MOST_FOLDS: Final = 20
NEEDED: Final = ("numpy", "scipy", "scikit-learn", "torch", "transformers")  # no run without them
STATED_TWICE: Final = ("profile", "n_texts", "context", "folds", "seed", "alpha", "dtype")
NAMES: Final = frozenset(field.name for field in fields(Protocol) if field.compare) - {"name", *CHANGES}


def protocol_of(record: ProtocolRecord) -> Protocol | None:
    """The protocol that the options make; None where they make none. Of a run of both it is the first."""
    options: dict[str, Any] = {option.name: option.value for option in record.options}
    if not options.keys() >= NAMES:
        return None
    given = {name: options[name] for name in (*NAMES, *CHANGES) if name in options}
    given["name"] = "rigorous" if record.name == "both" else record.name
    try:
        return Protocol(**given)
    except (LayerclaimsError, TypeError, ValueError):
        return None


def setup_of(results: Results, mismatches: Mismatches) -> Setup | None:
    """What thresholds follow from; None where the file states sizes that no model and no run has."""
    model, protocol = results.model, results.protocol
    if not (
        1 <= model.hidden_size <= MOST_DIMENSIONS
        and 2 <= model.n_blocks + 1 <= MOST_LABELS
        and 2 <= protocol.folds <= MOST_FOLDS
        and 0 <= protocol.seed < 2**32
    ):
        mismatches.note("model", "has sizes of no possible run, so thresholds cannot be checked")
        return None
    return Setup(
        n_labels=model.n_blocks + 1,
        hidden_size=model.hidden_size,
        folds=protocol.folds,
        seed=protocol.seed,
        alpha=protocol.alpha,
    )


def check_options(record: ProtocolRecord, mismatches: Mismatches, *, complete: bool) -> None:
    """What the protocol says of itself against the options that made it; `complete`: none may be absent."""
    options = {option.name: option.value for option in record.options}
    for name, times in Counter(option.name for option in record.options).items():
        if times > 1:
            mismatches.note("protocol/options", f"state {shown(name)} {times} times")
    for name in STATED_TWICE:
        stated = getattr(record, name)
        if name in options and name in record.model_fields_set and not same(options[name], stated):
            mismatches.note(
                f"protocol/{name}", f"is {shown(stated)}, and the options say {shown(options[name])}"
            )
    if "protocol" in options and options["protocol"] != record.name:
        mismatches.note(
            "protocol/name", f"is {record.name}, and the options say {shown(options['protocol'])}"
        )
    absent = sorted(NAMES - set(options))
    if absent and complete:
        mismatches.note("protocol/options", f"do not state {shown(absent[0])}")
    elif not absent and protocol_of(record) is None:
        mismatches.note("protocol/options", "are no possible protocol")


def check_run(results: Results, mismatches: Mismatches) -> None:
    """The names of model and corpora against the options that asked for them; numbers of texts; what it ran with."""
    options = {option.name: option.value for option in results.protocol.options}
    asked = options.get("model")
    changes = {name: options[name] for name in CHANGES if isinstance(options.get(name), str)}
    if isinstance(asked, str) and results.model.name != (name := displayed(asked, **changes)):
        mismatches.note("model/name", f"is {shown(results.model.name)}, and the options say {shown(name)}")
    for corpus in results.corpora:
        place = f"corpora, {corpus.role}"
        asked = options.get("corpus" if corpus.role == "main" else "transfer_corpus")
        if isinstance(asked, str) and corpus.name.partition(", ")[0] != asked.partition(", ")[0]:
            mismatches.note(place, f"is {shown(corpus.name)}, and the options say {shown(asked)}")
        if corpus.n_texts > results.protocol.n_texts:
            mismatches.note(
                place, f"has {corpus.n_texts} texts, and the run asked for {results.protocol.n_texts}"
            )
        if corpus.n_available is not None and corpus.n_texts > corpus.n_available:
            mismatches.note(place, f"has {corpus.n_texts} texts of {corpus.n_available}")
    for role, times in Counter(corpus.role for corpus in results.corpora).items():
        if times > 1:
            mismatches.note("corpora", f"have the {role} corpus {times} times")
    if absent := [name for name in NEEDED if not results.environment.packages.get(name)]:
        mismatches.note(
            "environment", f"does not state the version of {absent[0]}, without which nothing runs"
        )


def check_claims(results: Results, known: Mapping[str, RegisteredClaim], mismatches: Mismatches) -> None:
    """No claim of the post is invented or left out; what was selected is what the file has."""
    post = {id_ for id_, one in known.items() if one.claim.source == POST}
    for id_ in dict.fromkeys(c.id for c in results.claims if c.source == POST and c.id not in known):
        mismatches.note(id_, "is said to be of the post, which has no such claim")
    ids = {claim.id for claim in results.claims}
    selected = results.selected
    if selected is not None and selected.claims != len(ids):
        mismatches.note(
            "selected", f"says that {selected.claims} claims were run, and the file has {len(ids)}"
        )
    absent = len(post - ids)
    told = selected is not None and selected.of - selected.claims >= absent
    # what a run of the post's claims beside somebody's own left out, it may not know
    if absent and ids <= post and ids and not told:
        mismatches.note(
            "claims",
            f"{absent} of the post's {len(post)} claims are not in the file and the file does not say that it was a "
            "selection",
        )
    names = {"both": ("rigorous", "as-published")}.get(results.protocol.name, (results.protocol.name,))
    present = {(claim.id, claim.protocol) for claim in results.claims}
    for id_ in sorted(ids) if selected is None or selected.claims == selected.of else ():
        for name in names:
            if (id_, name) not in present:
                mismatches.note(
                    id_, f"is not in the file under {name}, and the file does not say that it was a selection"
                )


def check_series(results: Results, mismatches: Mismatches) -> None:
    """No counts that no claim rests on, and no figure that no claim shows."""
    used = {
        f"{claim.protocol}/{name}"
        for claim in results.claims
        for part in claim.parts
        if part.recipe is not None
        for name in part.recipe.series
    }
    for name in sorted(set(results.documents) - used):
        mismatches.note(f"documents/{name}", "are counts on which no claim rests")
    for name in sorted(set(results.figures) - {one for claim in results.claims for one in claim.figures}):
        mismatches.note(f"figures, {name}", "is shown with no claim")


def check_pictures(results: Results, mismatches: Mismatches) -> None:
    """Pictures are of a protocol of the run, once each, and of states and texts that the run has."""
    seen = set[str]()
    for one in results.pictures:
        where = f"pictures, {one.protocol}"
        if one.protocol in seen:
            mismatches.note(where, "stand twice in the file")
        if results.protocol.name not in ("both", one.protocol):
            mismatches.note(where, f"do not belong to a run of protocol {results.protocol.name}")
        seen.add(one.protocol)
        for picture in one.pictures:
            if len(set(picture.states)) < len(picture.states) or max(picture.states) > results.model.n_blocks:
                mismatches.note(where, f"{shown(picture.title)} has states that the model does not have")
            if not 0 < picture.n_documents <= min(results.protocol.n_texts, picture.x.shape[1]):
                mismatches.note(
                    where, f"{shown(picture.title)} is of more texts than tokens, or than were read"
                )
