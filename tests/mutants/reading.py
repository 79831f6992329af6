"""Wrong inputs and outputs: choice of texts, states on disk, keys of what is kept, pages."""

from typing import Final

from tests.mutants.mutant import Mutant

_SELECT = "corpora/test_load.py::TestSelect"
_KEPT = "experiments/test_kept.py"
_STORE = "activations/test_store.py::TestDamage"
_KEY = "activations/test_capture.py::TestCache::test_the_key_covers_all_that_changes_a_number"

READING: Final = (
    Mutant(
        name="order whatever the seed",
        file="corpora/selection.py",
        before="np.random.default_rng(seed).permutation(n)",
        after="np.random.default_rng(0).permutation(n)",
        tests=(f"{_SELECT}::test_it_is_the_same_for_a_seed_and_another_for_another",),
        wrong="the order of texts is the same for all seeds",
    ),
    Mutant(
        name="longer texts only",
        file="corpora/selection.py",
        before="if len(encoded) < context:",
        after="if len(encoded) <= context:",
        tests=(f"{_SELECT}::test_too_few_says_how_many_there_are",),
        wrong="a text that is as long as the context is passed over",
    ),
    Mutant(
        name="repeated texts",
        file="corpora/selection.py",
        before="            tokens = tuple(encoded[:context])\n",
        after="            tokens = (*encoded[:context], index)\n",
        tests=(
            f"{_SELECT}::test_a_corpus_given_twice_is_the_same_corpus",
            f"{_SELECT}::test_what_begins_as_an_earlier_text_is_passed_over",
        ),
        wrong="a text that begins as an earlier one is taken again",
    ),
    *(
        Mutant(
            name=f"states' key without {field}",
            file="activations/prepared.py",
            before=f'        "{field}": {field},\n',
            after="",
            tests=(_KEY,),
            wrong=f"states of another {field} are taken from the cache",
        )
        for field in ("seed", "context", "dtype")
    ),
    Mutant(
        name="measurements' key without seed",
        file="experiments/study.py",
        before='            "seed": self.protocol.seed,\n',
        after="",
        tests=("experiments/test_study.py::test_another_protocol_does_not_meet_these_measurements",),
        wrong="numbers of another seed's folds are taken from the cache",
    ),
    Mutant(
        name="measurements' key without folds",
        file="experiments/study.py",
        before='            "folds": self.protocol.folds,\n',
        after="",
        tests=("experiments/test_study.py::test_another_protocol_does_not_meet_these_measurements",),
        wrong="numbers of other folds are taken from the cache",
    ),
    Mutant(
        name="kept whatever its checksum",
        file="experiments/kept.py",
        before="    if about.sha256 != _digest(\n",
        after="    if not _digest(\n",
        tests=(f"{_KEPT}::test_a_flipped_byte_is_noticed_and_the_number_computed_again",),
        wrong="damaged measurements are used",
    ),
    Mutant(
        name="shard whatever its checksum",
        file="activations/shards.py",
        before='if place == wanted and sha256_file(path) == record["sha256"]:',
        after="if place == wanted:",
        tests=(f"{_STORE}::test_a_flipped_byte_is_found_by_verify_wherever_it_lies",),
        wrong="damaged states are used",
    ),
    Mutant(
        name="shard whatever its place",
        file="activations/shards.py",
        before="if place != wanted and isinstance(place, str):",
        after="if place is None and isinstance(place, str):",
        tests=(f"{_STORE}::test_swapped_shards_are_seen_before_a_number_is_read",),
        wrong="a shard in another's place is not called by its name",
    ),
    Mutant(
        name="manifest whatever its checksum",
        file="activations/store.py",
        before='if not isinstance(manifest, dict) or manifest.get("sha256") != _digest(manifest):',
        after="if not isinstance(manifest, dict):",
        tests=(f"{_STORE}::test_a_number_of_the_manifest_that_was_changed_is_seen",),
        wrong="a damaged manifest is believed",
    ),
    Mutant(
        name="not a number is a state",
        file="activations/shards.py",
        before="if not (torch.isfinite(low) and torch.isfinite(high)):",
        after="if torch.isinf(low) and torch.isinf(high):",
        tests=(
            "activations/test_capture.py::TestWhatIsStored::test_values_that_are_not_finite_are_refused_by_state",
        ),
        wrong="states with NaN are stored",
    ),
    Mutant(
        name="Markdown not escaped",
        file="report/escaping.py",
        before="    return re.sub(special, lambda found:",
        after="    return str(text) or re.sub(special, lambda found:",
        tests=("report/test_report.py::TestMarkdown::test_hostile_names_stay_text",),
        wrong="names from a results file are Markdown in a summary",
    ),
)
