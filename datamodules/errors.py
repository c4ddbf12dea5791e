"""What every reader raises when the user's data or settings cannot be used."""


class InputError(ValueError):
    """A mistake in the call, the settings or the data, told to the user without a traceback.

    The message names the file or key, the value found, what is allowed, and the way out.
    """
