"""The console of each module's ``world``, served while its tests run."""

from collections.abc import Iterator

import pytest

from tests.support.console import Served, console_of
from tests.support.world import World


@pytest.fixture(scope="module")
def console(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with console_of(world, tmp_path_factory.mktemp("console")) as running:
        yield running
