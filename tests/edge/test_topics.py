import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import UsageError
from edge.topics import DeviceTopics, SiteTopics, check_name, device_of

DIGEST = "0f" * 32
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True).filter(
    lambda name: name not in ("models", "rounds")
)


def test_the_layout() -> None:
    topics = DeviceTopics("lab", "d1")
    assert topics.describe == "tinyfleet/v1/lab/d1/describe"
    assert topics.cmd == "tinyfleet/v1/lab/d1/cmd"
    assert topics.offer == "tinyfleet/v1/lab/d1/offer"
    shared = topics.shared
    assert shared.model(DIGEST) == f"tinyfleet/v1/lab/models/{DIGEST}"
    assert shared.offer("r1") == "tinyfleet/v1/lab/rounds/r1/offer"
    assert shared.offers == "tinyfleet/v1/lab/rounds/+/offer"
    assert shared.every("update") == "tinyfleet/v1/lab/+/update"


@given(
    names,
    names,
    st.sampled_from(["describe", "state", "update", "telemetry", "ack", "cmd", "offer"]),
)
def test_a_topic_tells_its_device(site: str, device: str, leaf: str) -> None:
    topics = SiteTopics(site).device(device)
    assert device_of(getattr(topics, leaf)) == topics


@given(st.text(max_size=80))
def test_a_name_is_one_plain_level(name: str) -> None:
    try:
        check_name(name)
    except UsageError as error:
        assert error.hint
    else:
        assert name
        assert len(name) <= 64
        assert not set(name) & set("/+#$ \0")


@pytest.mark.parametrize("device", ["models", "rounds", "", "a/b", "+", "#", "$SYS", "x" * 65])
def test_names_that_would_reach_other_subtrees_are_refused(device: str) -> None:
    with pytest.raises(UsageError):
        DeviceTopics("lab", device)


@pytest.mark.parametrize("topic", ["", "a/b/c/d/e", f"tinyfleet/v1/lab/models/{DIGEST}", "x" * 9])
def test_other_topics_have_no_device(topic: str) -> None:
    assert device_of(topic) is None


def test_a_digest_is_checked() -> None:
    for digest in ("", "0F" * 32, "0f" * 31, "../" + "0" * 61):
        with pytest.raises(UsageError):
            SiteTopics("lab").model(digest)
