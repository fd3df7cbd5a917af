"""The WoT Discovery directory; each test names the assertions of the Recommendation it holds.

Not for us: the assertions of a discoverer (`discoverer-*`), of introduction by DNS-SD, CoRE and DID
(`introduction-dns-sd*`, `introduction-core-rd*`, `introduction-did*`), of CoAP (`*-coap-*`), of
OAuth2 (`exploration-secboot-oauth2-flows`) and of Thing Links (`exploration-link-*`); optional and
left out: other languages (`*-lang*`), other input formats
(`tdd-things-representation-alternate-input`), and federation (`tdd-search-sparql-federation*`),
which the gate refuses.
"""

import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.profile import DeviceProfile
from ontology.describe import equivalent
from ontology.http.accept import choose
from ontology.http.limits import Rate
from ontology.http.mergepatch import difference, merged
from tests.ontology.conftest import profile
from tests.ontology.http.conftest import refused

KIND = {"Content-Type": "application/td+json"}
PATCH = {"Content-Type": "application/merge-patch+json"}
V11 = "https://www.w3.org/2022/wot/td/v1.1"


def lamp(**changes: Any) -> dict[str, Any]:
    return {
        "@context": V11,
        "title": "lamp",
        "security": "open",
        "securityDefinitions": {"open": {"scheme": "nosec"}},
        "properties": {"on": {"type": "boolean", "forms": [{"href": "https://lamp.example/on"}]}},
    } | changes


def name() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def put(writer: httpx.Client, thing: str, **changes: Any) -> httpx.Response:
    body = json.dumps(lamp(id=thing, **changes))
    return writer.put(f"/things/{thing}", content=body, headers=KIND)


def read(client: httpx.Client, thing: str) -> dict[str, Any]:
    answer = client.get(f"/things/{thing}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_create_with_an_id(writer: httpx.Client) -> None:
    """tdd-things-crud, tdd-things-crudl, tdd-things-create-known-td, -known-contenttype,
    -known-td-resp, tdd-things-update, tdd-things-update-contenttype, tdd-things-update-resp."""
    thing = name()
    assert put(writer, thing).status_code == 201
    assert read(writer, thing)["title"] == "lamp"
    assert put(writer, thing, title="another").status_code == 204
    assert read(writer, thing)["title"] == "another"


def test_create_without_an_id(writer: httpx.Client) -> None:
    """tdd-things-create-anonymous-td, -anonymous-contenttype, -anonymous-id, -anonymous-td-resp,
    tdd-things-create-known-vs-anonymous, tdd-anonymous-td-identifier, -local-uuid."""
    answer = writer.post("/things", content=json.dumps(lamp()), headers=KIND)
    assert answer.status_code == 201
    thing = answer.headers["location"]
    assert uuid.UUID(thing.removeprefix("urn:uuid:")).version == 4
    assert read(writer, thing)["id"] == thing
    known = json.dumps(lamp(id=name()))
    refused(writer.post("/things", content=known, headers=KIND), 400)
    refused(writer.put("/things/urn:x:1", content=json.dumps(lamp()), headers=KIND), 400)


def test_retrieve(writer: httpx.Client) -> None:
    """tdd-things-retrieve, -retrieve-resp, -retrieve-resp-content-type, tdd-context-injection,
    tdd-things-default-representation, tdd-registrationinfo-vocab-created, -modified, -retrieved,
    tdd-absolute-time, tdd-http-head, exploration-server-http-method, -resp, -resp-content-type,
    -resp-json, -head."""
    thing = name()
    put(writer, thing)
    first = writer.get(f"/things/{thing}")
    assert first.headers["content-type"] == "application/td+json"
    body = first.json()
    assert "https://www.w3.org/2022/wot/discovery" in body["@context"]
    times = {key: datetime.fromisoformat(body["registration"][key]) for key in
             ("created", "modified", "retrieved")}  # fmt: skip
    assert times["created"] == times["modified"] <= times["retrieved"]
    assert all(moment.tzinfo is not None for moment in times.values())
    head = writer.head(f"/things/{thing}")
    assert head.status_code == 200 and head.content == b""
    put(writer, thing, title="later")
    after = read(writer, thing)["registration"]
    assert after["created"] == body["registration"]["created"] < after["modified"]
    refused(writer.get(f"/things/{name()}"), 404)


def test_a_description_comes_back_as_it_went_in(writer: httpx.Client) -> None:
    thing = name()
    put(writer, thing)
    found = read(writer, thing)
    del found["registration"]
    assert equivalent(found, lamp(id=thing))
    again = writer.put(f"/things/{thing}", content=json.dumps(found), headers=KIND)
    assert again.status_code == 204


def test_merge_patch(writer: httpx.Client) -> None:
    """tdd-things-update-partial, -partial-mergepatch, -partial-contenttype, -partial-partialtd,
    -partial-resp."""
    thing = name()
    put(writer, thing, description="to go")
    patch = {
        "title": "new",
        "description": None,
        "properties": {"dim": {"forms": [{"href": "https://lamp.example/dim"}]}},
    }
    answer = writer.patch(f"/things/{thing}", content=json.dumps(patch), headers=PATCH)
    assert answer.status_code == 204
    found = read(writer, thing)
    assert found["title"] == "new" and "description" not in found
    assert set(found["properties"]) == {"on", "dim"}
    both = [{"href": "https://lamp.example/on"}, {"href": "coaps://lamp.example/on"}]
    patch = {"properties": {"on": {"forms": both}}}
    writer.patch(f"/things/{thing}", content=json.dumps(patch), headers=PATCH)
    hrefs = [form["href"] for form in read(writer, thing)["properties"]["on"]["forms"]]
    assert hrefs == [form["href"] for form in both]
    for bad in ({"title": None}, {"properties": {"on": {"forms": None}}}, {"id": name()}):
        refused(writer.patch(f"/things/{thing}", content=json.dumps(bad), headers=PATCH), 400)
    refused(writer.patch(f"/things/{thing}", content="{}", headers=KIND), 415)
    refused(writer.patch(f"/things/{name()}", content="{}", headers=PATCH), 404)
    assert read(writer, thing)["title"] == "new"


def test_delete(writer: httpx.Client) -> None:
    """tdd-things-delete, tdd-things-delete-resp."""
    thing = name()
    put(writer, thing)
    assert writer.delete(f"/things/{thing}").status_code == 204
    refused(writer.get(f"/things/{thing}"), 404)
    refused(writer.delete(f"/things/{thing}"), 404)
    left = {"query": f"ASK {{ <{thing}> ?p ?o }}"}
    assert writer.get("/sparql", params=left).json()["boolean"] is False


def test_validation(writer: httpx.Client) -> None:
    """tdd-validation-syntactic, -jsonschema, -result, -response, -response-utf-8,
    tdd-http-error-response, tdd-http-error-response-utf-8."""
    bad: list[tuple[dict[str, Any], str]] = [
        ({"title": 3}, "/title"),
        ({"securityDefinitions": {"open": {}}}, "/securityDefinitions/open"),
        ({"properties": {"on": {"forms": []}}}, "/properties/on/forms"),
        ({"properties": {"on": {"forms": [{"op": "x"}]}}}, "/properties/on/forms/0"),
        ({"registration": {"ttl": -1}}, "/registration/ttl"),
        ({"unheard": 1}, "(root)"),
    ]
    for changes, field in bad:
        answer = writer.post("/things", content=json.dumps(lamp(**changes)), headers=KIND)
        faults = refused(answer, 400)["validationErrors"]
        assert isinstance(faults, list) and faults[0]["field"] == field, faults
        assert faults[0]["description"]
    for body in ("{", "[]", "NaN", '{"title": NaN}', "[" * 100_000):
        refused(writer.post("/things", content=body, headers=KIND), 400)


def test_devices_of_ours_are_held_to_their_shapes(writer: httpx.Client) -> None:
    board: DeviceProfile = profile()
    good = board.thing_description("shaped", site="lab", arena=1000, slot=1000)
    thing = good["id"]
    for key, value in (("tf:arenaBytes", "many"), ("tf:slotBytes", -5), ("tf:site", ["a", "b"])):
        answer = writer.put(
            f"/things/{thing}", content=json.dumps(good | {key: value}), headers=KIND
        )
        faults = refused(answer, 400)["validationErrors"]
        assert isinstance(faults, list) and faults[0]["field"] == f"/{key}"
    del good["tf:board"]
    refused(writer.put(f"/things/{thing}", content=json.dumps(good), headers=KIND), 400)
    good = board.thing_description("shaped", site="lab", arena=200_000, slot=400_000)
    assert writer.put(f"/things/{thing}", content=json.dumps(good), headers=KIND).status_code == 201
    fits = writer.get("/queries/models-for-device", params={"device": "shaped"}).json()
    assert fits["results"]["bindings"]
    writer.delete(f"/things/{thing}")


def test_list(writer: httpx.Client) -> None:
    """tdd-things-list-only, -list-method, -list-resp, -list-resp-content-type, -list-pagination,
    -pagination-limit, -header-nextlink, -header-nextlink-attr, -header-nextlink-base,
    -header-canonicallink, -order-default, -pagination-collection."""
    for _ in range(3):
        put(writer, name())
    whole = writer.get("/things")
    assert whole.headers["content-type"] == "application/ld+json"
    ids = [thing["id"] for thing in whole.json()]
    assert ids == sorted(ids) and len(ids) >= 6
    seen: list[str] = []
    path: str | None = "/things?limit=2"
    while path:
        answer = writer.get(path)
        seen += [thing["id"] for thing in answer.json()]
        link = answer.headers["link"]
        assert re.search(r'</things>; rel="canonical"; etag="[^"]+"', link)
        found = re.search(r'<([^>]+)>; rel="next"', link)
        path = found[1] if found else None
        assert path is None or ("limit=2" in path and "offset=" in path)
    assert seen == ids
    body = writer.get("/things?limit=2&format=collection").json()
    assert body["@type"] == "ThingCollection" and body["total"] == len(ids)
    assert len(body["members"]) == 2 and "format=collection" in body["next"]
    assert writer.head("/things").status_code == 200


def test_list_refuses_what_it_does_not_do(client: httpx.Client) -> None:
    """tdd-http-unsupported-feature."""
    refused(client.get("/things?sort_by=title"), 501)
    for bad in ("limit=0", "limit=-1", "offset=x", "limit=٣", "format=xml", "order=asc"):
        refused(client.get(f"/things?{bad}"), 400)


def test_expiry(writer: httpx.Client) -> None:
    """tdd-registrationinfo-vocab-expires, -vocab-ttl, tdd-registrationinfo-expiry-purge."""
    thing = name()
    put(writer, thing, registration={"ttl": 3600, "expires": "2001-01-01T00:00:00Z"})
    kept = read(writer, thing)["registration"]
    span = datetime.fromisoformat(kept["expires"]) - datetime.fromisoformat(kept["modified"])
    assert kept["ttl"] == 3600 and span.total_seconds() == 3600
    text = json.dumps({"title": "still"})
    writer.patch(f"/things/{thing}", content=text, headers=PATCH)
    assert read(writer, thing)["registration"]["ttl"] == 3600
    put(writer, thing)
    assert "expires" in read(writer, thing)["registration"], "who says nothing keeps it"
    put(writer, thing, registration={"ttl": 0.4})
    time.sleep(0.6)
    refused(writer.get(f"/things/{thing}"), 404)
    deadline = time.monotonic() + 15
    there = {"query": f"ASK {{ <{thing}> a td:Thing }}"}
    while writer.get("/sparql", params=there).json()["boolean"]:
        assert time.monotonic() < deadline, "what has expired is purged"
        time.sleep(0.3)
    put(writer, thing)
    assert "expires" not in read(writer, thing)["registration"]
    writer.delete(f"/things/{thing}")


def test_who_changes_what_has_changed_is_told(writer: httpx.Client) -> None:
    thing = name()
    put(writer, thing)
    tag = writer.get(f"/things/{thing}").headers["etag"]
    assert writer.get(f"/things/{thing}", headers={"If-None-Match": tag}).status_code == 304
    put(writer, thing, title="by another")
    body = json.dumps({"title": "mine"})
    stale = PATCH | {"If-Match": tag}
    refused(writer.patch(f"/things/{thing}", content=body, headers=stale), 412)
    refused(writer.delete(f"/things/{thing}", headers={"If-Match": tag}), 412)
    fresh = PATCH | {"If-Match": writer.get(f"/things/{thing}").headers["etag"]}
    assert writer.patch(f"/things/{thing}", content=body, headers=fresh).status_code == 204


def test_writing_needs_the_token(client: httpx.Client) -> None:
    """tdd-things-read-only-auth, exploration-secboot-401, exploration-secboot-auth,
    priv-loc-priv-dir-access."""
    thing = "urn:tinyfleet:lab:nano-1"
    for answer in (
        client.post("/things", content=json.dumps(lamp()), headers=KIND),
        client.put(f"/things/{thing}", content=json.dumps(lamp(id=thing)), headers=KIND),
        client.patch(f"/things/{thing}", content="{}", headers=PATCH),
        client.delete(f"/things/{thing}"),
    ):
        refused(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_it_describes_itself(client: httpx.Client) -> None:
    """introduction-well-known-uri, -well-known-path, -well-known-thing-description,
    introduction-direct-directory-description, exploration-directory-description-type."""
    answer = client.get("/.well-known/wot")
    assert answer.headers["content-type"] == "application/td+json"
    body = answer.json()
    assert body["@type"] == "ThingDirectory"
    assert {"things"} == set(body["properties"])
    assert {"thingCreated", "thingUpdated", "thingDeleted"} == set(body["events"])
    assert {"createThing", "searchSPARQL", "searchJSONPath"} <= set(body["actions"])
    assert body["base"] == f"{client.base_url}/"
    from ontology.http.validation import faults_of

    plain = body | {"@context": [*body["@context"], {"htv": "http://www.w3.org/2011/http#"}]}
    assert faults_of(plain) == []


def test_search_by_sparql(client: httpx.Client) -> None:
    """tdd-search-sparql, -sparql-version, -method-get, -method-post, -resp-select-ask,
    -resp-describe-construct, -sparql-error, tdd-search-large-tdds."""
    select = "SELECT ?s WHERE { ?s tf:board 'microbit' }"
    for answer in (
        client.get("/search/sparql", params={"query": select}),
        client.post("/search/sparql", data={"query": select}),
    ):
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
        assert len(answer.json()["results"]["bindings"]) == 1
    describe = client.get("/search/sparql", params={"query": "DESCRIBE <urn:tinyfleet:lab:bit>"})
    assert describe.headers["content-type"] == "application/ld+json" and describe.json()
    refused(client.get("/search/sparql", params={"query": "INSERT DATA {}"}), 400)
    refused(client.post("/search/sparql", data={"update": "INSERT DATA {}"}), 400)
    refused(client.get("/search/sparql"), 400)


def test_search_by_jsonpath(client: httpx.Client) -> None:
    found = client.get("/search/jsonpath", params={"query": "$[?@['tf:board'] == 'microbit'].id"})
    assert found.json() == ["urn:tinyfleet:lab:bit"]
    for bad in ("$[", "", "title", "$" * 5000):
        refused(client.get("/search/jsonpath", params={"query": bad}), 400)
    refused(client.get("/search/jsonpath"), 400)


class Listener:
    """Reads Server-Sent Events until `count` have come."""

    def __init__(self, address: str, path: str, count: int, last: str | None = None) -> None:
        self.events: list[dict[str, str]] = []
        self._url, self._count = address + path, count
        self._headers = {"Last-Event-ID": last} if last else {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        with httpx.stream("GET", self._url, headers=self._headers, timeout=20) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            event: dict[str, str] = {}
            for line in answer.iter_lines():
                self._ready.set()
                if not line and event:
                    self.events.append(event)
                    event = {}
                    if len(self.events) == self._count:
                        return
                elif ": " in line and not line.startswith(":"):
                    key, _, value = line.partition(": ")
                    event[key] = value

    def wait(self) -> list[dict[str, str]]:
        self._thread.join(20)
        assert len(self.events) == self._count
        return self.events


@pytest.fixture
def happening(writer: httpx.Client) -> Iterator[str]:
    """A thing that is made, changed and deleted."""
    thing = name()

    def make() -> None:
        put(writer, thing)
        put(writer, thing, title="changed")
        writer.delete(f"/things/{thing}")

    thread = threading.Timer(1.0, make)
    thread.start()
    yield thing
    thread.join()


def test_events(address: str, happening: str) -> None:
    """tdd-notification, -sse, -event-id, -event-types, -data, -data-td-id."""
    events = Listener(address, "/events", 3).wait()
    assert [event["event"] for event in events] == [
        "thing_created",
        "thing_updated",
        "thing_deleted",
    ]
    assert {json.loads(event["data"])["id"] for event in events} == {happening}
    assert len({event["id"] for event in events}) == 3
    missed = Listener(address, "/events", 2, last=events[0]["id"]).wait()
    assert missed == events[1:]


def test_events_of_one_type(address: str, happening: str) -> None:
    """tdd-notification-filter-type."""
    (event,) = Listener(address, "/events/thing_deleted", 1).wait()
    assert event["event"] == "thing_deleted" and happening in event["data"]


def test_events_with_what_changed(address: str, happening: str) -> None:
    """tdd-notification-data-create-full, -update-diff, -update-id, -delete-diff."""
    made, changed, gone = Listener(address, "/events?diff=true", 3).wait()
    assert json.loads(made["data"])["properties"]
    assert json.loads(changed["data"]) == {"id": happening, "title": "changed"}
    assert json.loads(gone["data"]) == {"id": happening}


@pytest.mark.parametrize(
    "path", ["/", "/models", "/query", "/devices/nano-1", "/models/characters"]
)
def test_pages(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    for link in re.findall(r'(?:href|src)="(/[^"]*)"', answer.text):
        assert client.get(link, headers={"Accept": "text/html, */*;q=0.8"}).status_code == 200, link


def test_the_lineage_is_drawn(client: httpx.Client) -> None:
    picture = client.get(f"/models/{'2' * 64}/lineage.svg").text
    assert picture.count("<rect") == 4 and picture.count("marker-end") == 3


json_values = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)
objects = st.dictionaries(st.text(max_size=3), json_values, max_size=4)


@given(objects, objects)
def test_a_difference_makes_one_the_other(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert merged(one, difference(one, other)) == other


@pytest.mark.parametrize(
    ("target", "patch", "outcome"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        (["a", "b"], ["c"], ["c"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_as_in_rfc_7396(target: object, patch: object, outcome: object) -> None:
    assert merged(target, patch) == outcome


@given(st.text(max_size=40))
def test_any_accept_header_is_read(text: str) -> None:
    assert choose(text, ("text/csv", "application/json")) in ("text/csv", "application/json", None)


def test_a_bucket_fills_again() -> None:
    clock = [0.0]
    rate = Rate(2, burst=2, clock=lambda: clock[0])
    assert [rate.wait("a") > 0 for _ in range(3)] == [False, False, True]
    assert rate.wait("b") == 0
    clock[0] = 0.5
    assert rate.wait("a") == 0 and rate.wait("a") > 0
