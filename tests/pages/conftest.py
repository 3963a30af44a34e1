import functools
from collections.abc import Callable

import pytest

from tests.pages.reader import Element, parse


@pytest.fixture(scope="session")
def read(tmp_path_factory) -> Callable[..., Element]:
    """The page that a builder of the examples writes; one of the builder's own data is made once."""

    def written(build, *given, **options):
        return parse(build(tmp_path_factory.mktemp("page"), *given, **options).read_text("utf-8"))

    once = functools.cache(written)
    return lambda build, *given, **options: (written if given or options else once)(build, *given, **options)
