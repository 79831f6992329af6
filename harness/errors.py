"""The exceptions that a user's mistake, an unusable environment or an absent part become."""

from pathlib import Path


class LayerclaimsError(Exception):
    """What was wrong, which value, what to do: one plain sentence, shown without a traceback."""


class NotTestedError(LayerclaimsError):
    """What a claim needs is absent here, a second model say: no verdict, and no fault."""


class DamagedStatesError(LayerclaimsError):
    """Bytes of a store are not those that were written; `directory` is the store's."""

    def __init__(self, message: str, directory: Path) -> None:
        """The sentence, and where the store lies."""
        super().__init__(message)
        self.directory = directory
