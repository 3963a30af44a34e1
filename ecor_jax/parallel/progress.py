"""Progress bars whose rate and time left are without the compilation of the first step."""

from tqdm import tqdm


def count_first(bar: tqdm, done: int) -> None:
    """Adds `done` units that took the compilation, and starts the clock of the bar anew."""
    bar.n = bar.initial = bar.last_print_n = bar.n + done
    bar.unpause()
