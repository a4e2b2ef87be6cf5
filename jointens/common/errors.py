"""Define the exception for a user's mistake; its message is one line: what came, where, what is allowed."""


class InputError(ValueError):
    """Wrong input. The command line prints the message and exits with 2; a notebook shows it without a traceback."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))  # one line, whatever the value that is quoted in it

    def _render_traceback_(self) -> list[str]:  # IPython asks an exception for this method
        return [f"InputError: {self}"]
