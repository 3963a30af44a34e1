import functools

import pytest

from tests.pages import examples
from tests.pages.reader import parse


@pytest.fixture(scope="session")
def read(tmp_path_factory):
    """The page that a builder of the examples writes; one of the builder's own data is made once."""

    def written(build, *given):
        return parse(build(tmp_path_factory.mktemp("page"), *given).read_text("utf-8"))

    once = functools.cache(written)
    return lambda build, *given: written(build, *given) if given else once(build)


@pytest.fixture
def card(read):
    """The card of a picture, a pair or a film that is explained."""
    return lambda explained: read(examples.explanations, explained).all("article")[0]
