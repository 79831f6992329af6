"""The one exception that a user's mistake or an unusable environment becomes."""


class LayerclaimsError(Exception):
    """What was wrong, which value, what to do: one plain sentence, shown without a traceback."""
