"""A broker for the tests of a file, and a server's view of it for each test."""

from collections.abc import Iterator

import pytest

from edge.broker import LocalBroker
from tests.edge.hub import Hub


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalBroker]:
    with LocalBroker() as running:
        yield running


@pytest.fixture
def hub(broker: LocalBroker) -> Iterator[Hub]:
    hub = Hub(broker.options)
    yield hub
    hub.close_round()
    hub.close()
