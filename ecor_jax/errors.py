"""The one exception that stands for a mistake the user can mend."""


class UserError(Exception):
    """Bad input or a bad option: the message names it, says what was found and what was expected.

    Commands print the message as one line and exit with status 1; anything else is a bug and keeps its traceback.
    """
