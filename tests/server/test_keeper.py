"""What devices say becomes facts; what is broken or foreign does not."""

import json

from edge.messages import State
from edge.profile import LINUX
from ontology.catalog import Catalog
from server.keeper import Keeper

SHA = "ab" * 32


def description(device: str) -> bytes:
    thing = LINUX.thing_description(device, site="lab", arena=1000, slot=2000)
    return json.dumps(thing).encode()


def test_descriptions_and_states_become_facts() -> None:
    with Catalog.open() as catalog, Keeper(catalog, site="lab") as keeper:
        keeper.described("a", description("a"))
        keeper.changed("a", State("a", "online", SHA, 1.0))
        keeper.flush()
        (row,) = catalog.query("fleet")
        assert row["device"] == "urn:tinyfleet:lab:a"
        assert SHA in str(row["model"])


def test_a_description_of_another_device_is_not_taken() -> None:
    with Catalog.open() as catalog, Keeper(catalog, site="lab") as keeper:
        keeper.described("a", description("b"))
        keeper.described("a", b"{not json")
        keeper.described("a", b"[]")
        keeper.described("c", description("c"))
        keeper.flush()
        assert [row["device"] for row in catalog.query("fleet")] == ["urn:tinyfleet:lab:c"]
