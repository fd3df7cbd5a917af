"""A Thing Description becomes triples and comes back saying the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import UsageError
from edge.profile import DeviceProfile
from ontology.catalog import Catalog
from ontology.describe import equivalent, thing_description, thing_triples

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
SIZE = st.integers(0, 2**40)
PROFILES = st.builds(
    DeviceProfile,
    name=NAME,
    title=TEXT,
    manufacturer=TEXT,
    core=st.sampled_from(["cortex-m0", "cortex-m3", "cortex-m4f", "cortex-m7", "linux"]),
    flash=SIZE,
    ram=SIZE,
    clock_hz=SIZE,
    fpu=st.booleans(),
    sensors=st.lists(NAME, unique=True, max_size=3).map(tuple),
    url=st.sampled_from(["", "https://example.org/board?x=1#y"]),
)


def unordered(value: Any) -> Any:
    """JSON as JSON-LD compares it: lists without order, one in a list as itself, no empty ones."""
    if isinstance(value, dict):
        return {k: unordered(v) for k, v in value.items() if v != [] and k != "@context"}
    if isinstance(value, list):
        items = sorted((unordered(v) for v in value), key=repr)
        return items[0] if len(items) == 1 else items
    return value


@given(
    profile=PROFILES,
    device=NAME,
    sizes=st.tuples(SIZE, SIZE),
    running=st.none() | st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
)
def test_profiles_come_back(
    profile: DeviceProfile, device: str, sizes: tuple[int, int], running: str | None
) -> None:
    description = profile.thing_description(
        device, site="lab", arena=sizes[0], slot=sizes[1], running=running, broker="mqtt://h:1"
    )
    back = thing_description(description["id"], thing_triples(description))
    assert unordered(back) == unordered(description)
    assert equivalent(back, description)


def test_through_the_store(make_profile: Any) -> None:
    description = make_profile().thing_description("x-1", site="lab", arena=10, slot=20)
    with Catalog.open() as catalog:
        catalog.put_thing(description)
        catalog.set_status("x-1", True)
        assert unordered(catalog.get_thing("x-1")) == unordered(description)


RICH: dict[str, Any] = {
    "@context": ["https://www.w3.org/2022/wot/td/v1.1", {"ex": "https://example.org/x#"}],
    "id": "urn:example:lamp",
    "titles": {"en": "Lamp", "de": "Lampe"},
    "created": "2026-01-01T00:00:00Z",
    "version": {"instance": "1.2.3"},
    "securityDefinitions": {
        "basic sc": {"scheme": "basic", "in": "header"},
        "none": {"scheme": "nosec"},
    },
    "security": ["basic sc", "none"],
    "ex:colour": {"@id": "https://example.org/x#red"},
    "ex:born": {"@value": "2020-01-01", "@type": "xsd:date"},
    "ex:weight": 1.0,
    "properties": {
        "a/b": {
            "type": "object",
            "properties": {"x": {"type": "integer", "minimum": -1, "enum": [3, 1, 2]}},
            "required": ["x"],
            "const": None,
            "forms": [{"href": "b", "op": ["writeproperty", "readproperty"]}, {"href": "a"}],
        }
    },
    "events": {"on": {"data": {"type": "array", "items": {"type": "string"}}, "forms": []}},
}


def test_much_of_the_recommendation_comes_back() -> None:
    back = thing_description(RICH["id"], thing_triples(RICH))
    back["@context"] = RICH["@context"]
    assert equivalent(back, RICH)
    forms = back["properties"]["a/b"]["forms"]
    assert [form["href"] for form in forms] == ["b", "a"]
    schema = back["properties"]["a/b"]["properties"]["x"]
    assert schema == {"type": "integer", "minimum": -1, "enum": [3, 1, 2]}
    assert back["security"] == ["basic sc", "none"] and back["titles"] == RICH["titles"]
    assert back["properties"]["a/b"]["const"] is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": "no scheme"}, "absolute IRI"),
        ({"id": "urn:a> <urn:b"}, "absolute IRI"),
        ({"titel": "x"}, "title"),
        ({"nope:x": 1}, "declared prefix"),
        ({"properties": [1]}, "properties"),
        ({"security": 3}, "text"),
        ({"@type": "tf:a b"}, "known word"),
        ({"properties": {"p": {"type": "strin"}}}, "string"),
        ({"sosa:hosts": {"@id": "urn:example:other", "tf:online": False}}, "its own thing"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        thing_triples({"id": "urn:example:a"} | change)


def test_depth_is_bounded() -> None:
    schema: dict[str, Any] = {}
    for _ in range(500):
        schema = {"items": schema}
    with pytest.raises(UsageError, match="levels"):
        thing_triples({"id": "urn:example:a", "properties": {"p": schema}})


def test_context_is_never_fetched() -> None:
    thing_triples({"@context": "http://127.0.0.1:1/context", "id": "urn:example:a"})


def test_describing_again_replaces_and_keeps_the_status(make_profile: Any) -> None:
    with Catalog.open() as catalog:
        old = make_profile().thing_description("x", site="lab", arena=1, slot=2)
        new = make_profile(sensors=("camera",)).thing_description("x", site="lab", arena=3, slot=4)
        catalog.put_thing(old)
        catalog.set_status("x", True, "a" * 64, at=0)
        catalog.put_thing(new)
        assert "microphone" not in catalog.dump() and "camera" in catalog.dump()
        (row,) = catalog.query("fleet")
        assert (row["arenaBytes"], row["online"]) == (3, True)
        assert row["model"] == "urn:sha256:" + "a" * 64
