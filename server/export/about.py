"""What an exported file says of itself, in the metadata fields of its format."""

import json
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["About", "model_metadata"]

PARSER = "1.0.0"
"""Version of the TensorFlow Lite metadata schema that is needed to read it."""


@dataclass(frozen=True)
class About:
    """A model in words; what is empty is left out.

    Args:
        name: of the model.
        task: what it is for.
        labels: names of the outputs, in order.
        preprocessing: what is done to a sample before it becomes the input.
        data: what it was trained on, with its licence.
        run: which run trained it.
        round: in which round.
        licence: of the file, an SPDX identifier where there is one.
    """

    name: str
    task: str = ""
    labels: tuple[str, ...] = ()
    preprocessing: str = ""
    data: str = ""
    run: str = ""
    round: int = 0
    licence: str = ""

    def fields(self) -> dict[str, str]:
        """All that is known, as text: labels as a JSON list."""
        known = {key: value for key, value in asdict(self).items() if value}
        return {
            key: json.dumps(value, ensure_ascii=False) if key == "labels" else str(value)
            for key, value in known.items()
        }


def model_metadata(about: About) -> bytes:
    """The `ModelMetadata` table of the TensorFlow Lite metadata schema, as a flatbuffer.

    Args:
        about: name and licence have fields of their own; the rest is the description, a JSON map.

    Returns:
        The bytes of the buffer `TFLITE_METADATA`; the same for the same words.
    """
    import flatbuffers

    b: Any = flatbuffers.Builder(256)
    fields = about.fields()
    name, licence = fields.pop("name"), fields.pop("licence", "")
    words = json.dumps(fields, ensure_ascii=False, sort_keys=True)
    texts = {0: name, 1: words, 5: licence, 7: PARSER}
    places = {slot: b.CreateString(text) for slot, text in texts.items() if text}
    b.StartObject(8)
    for slot, place in places.items():
        b.PrependUOffsetTRelativeSlot(slot, place, 0)
    b.Finish(b.EndObject(), file_identifier=b"M001")
    return bytes(b.Output())
