"""The exceptions that a user's mistake, an unusable environment or an absent part become."""


class LayerclaimsError(Exception):
    """What was wrong, which value, what to do: one plain sentence, shown without a traceback."""


class NotTestedError(LayerclaimsError):
    """What a claim needs is absent here, a second model say: no verdict, and no fault."""
