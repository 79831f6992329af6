"""The short campaign: few trials of each kind, the same ones each time, and nothing wrong without a word."""

import json
import subprocess
import sys
from functools import cache

import pytest

from tests.faults import campaign
from tests.faults.campaign import Trial
from tests.faults.world import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the faults are those of Linux")


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """What became of each trial; in a process of its own, since forks of this one would inherit pytest."""
    found = tmp_path_factory.mktemp("faults") / "tried.json"
    command = [sys.executable, "-m", "tests.faults", "--short", "--minutes", "60", "--json", str(found)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.exists(), done.stdout + done.stderr
    return json.loads(found.read_bytes())


@cache
def planned() -> list[Trial]:
    return campaign.trials(short=True)


GROUPS = list(dict.fromkeys([*(kind.group for kind in campaign.KINDS), campaign.INPUTS]))


@pytest.mark.parametrize("group", GROUPS)
def test_nothing_is_wrong_without_a_word(tried, group):
    own = [one for one in tried if campaign.group_of(one["trial"]["kind"]) == group]
    assert len(own) == sum(campaign.group_of(trial.kind) == group for trial in planned())
    wrong = [
        f"{one['about'] or one['trial']['kind']}: {one['outcome']['detail']}\n{Trial(**one['trial']).command}"
        for one in own
        if one["outcome"]["word"] == "wrong"
    ]
    assert not wrong, "\n".join(wrong)


def test_the_whole_campaign_is_as_large_as_promised():
    count = dict.fromkeys(GROUPS, 0)
    for trial in campaign.trials(short=False):
        count[campaign.group_of(trial.kind)] += 1
    assert count[campaign.KILLS] >= 200
    assert count[campaign.DAMAGE] + count[campaign.SWAPS] + count[campaign.OUTPUTS] >= 300
    assert count[campaign.INPUTS] >= 250


RIGHT = {
    "claims": [{"id": "a", "protocol": "rigorous", "verdict": "REPLICATED", "estimate": 0.5, "reason": "r"}],
    "documents": {}, "figures": {}, "corpora": [], "model": {},
}  # fmt: skip


class TestOutcomes:
    """That the campaign sees what is wrong: a campaign that cannot fail shows nothing."""

    def of(self, tmp_path, content, *, status=0, text=""):
        from tests.faults import forks, outcomes

        sound = tmp_path / "sound.json"
        sound.write_text(json.dumps(RIGHT))
        found = tmp_path / "results.json"
        if content is not None:
            found.write_text(content if isinstance(content, str) else json.dumps(content))
        ended = forks.Ended(status=status, text=text, hung=False, seconds=1.0)
        return outcomes.of_run(ended, found, status=0, right=outcomes.read(sound)).word

    def changed(self, **values):
        return {**RIGHT, "claims": [{**RIGHT["claims"][0], **values}]}

    def test_the_same_numbers_are_right(self, tmp_path):
        assert self.of(tmp_path, self.changed(reason="other words", seconds=9)) == "right"

    @pytest.mark.parametrize("values", [{"estimate": 0.6}, {"verdict": "INCONCLUSIVE"}, {"interval": [0, 1]}])
    def test_another_number_is_wrong(self, tmp_path, values):
        assert self.of(tmp_path, self.changed(**values), status=1) == "wrong"

    def test_a_half_written_file_is_wrong(self, tmp_path):
        assert self.of(tmp_path, '{"claims": [') == "wrong"

    def test_a_traceback_is_wrong(self, tmp_path):
        assert self.of(tmp_path, None, status=1, text="Traceback (most recent call last):\nX") == "wrong"

    def test_silence_is_wrong(self, tmp_path):
        assert self.of(tmp_path, None, status=1, text="=====") == "wrong"
        assert self.of(tmp_path, None, status=0, text="ERROR: this is a whole sentence.") == "wrong"

    def test_a_sentence_is_a_refusal(self, tmp_path):
        assert self.of(tmp_path, None, status=4, text="ERROR: this is a whole sentence.") == "refused"

    def test_what_could_not_be_judged_is_a_refusal_only_if_it_is_said_in_words(self, tmp_path):
        said = self.changed(verdict="ERROR", estimate=None, reason="The disk is full.")
        raised = self.changed(verdict="ERROR", estimate=None, reason="KeyError: 'weights'")
        assert self.of(tmp_path, said, status=1) == "refused"
        assert self.of(tmp_path, raised, status=1) == "wrong"
        assert self.of(tmp_path, said, status=0) == "wrong"
