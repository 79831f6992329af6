"""Names that no file can have are one sentence, and no traceback."""

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.models.names import hub_id
from layerclaims.models.source import check_model_name, resolve


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./" + "x" * 256, "cannot be a path"),
        ("./" + "é" * 128, "cannot be a path"),
        ("y" * 256 + ".gguf", "cannot be a path"),
        ("./a\0b", "cannot be a path"),
        ("local:\udfff", "cannot be a path"),
        ("/" + "x" * 200 + "/x" * 3_000, "cannot be looked at|does not exist"),
        ("./" + ("x" * 200 + "/") * 40 + "m.gguf", "cannot be looked at"),
        ("~nobody-has-this-name/m", "home directory of a user that is not known"),
        ("local:~nobody-has-this-name", "home directory of a user that is not known"),
        ("~nobody-has-this-name/m.gguf", "home directory of a user that is not known"),
    ],
)
def test_one_printable_sentence(name, message):
    for ask in (check_model_name, resolve):
        with pytest.raises(LayerclaimsError, match=message) as caught:
            ask(name)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 600
    assert hub_id(name) is None


def test_the_hub_is_told_from_paths():
    assert hub_id("owner/name@main") == "owner/name"
    assert [hub_id(name) for name in ("./owner/name", "embedded", "local:x", "a b")] == [None] * 4
