"""Fetch the published originals of sound once, check them, and pack them as arrays."""

import hashlib
import io
import os
import tarfile
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.tasks.data import DownloadFailed, cache_folder, download

__all__ = ["pack_clips", "speech_commands", "spoken_digits", "tree_id"]

DIGITS_URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/26eb9aa.zip"
DIGITS_TREE = "d04322e322a9f937f6f4f7c8546693755184df5b"
"""Git's name of the folder of recordings; archives of one commit may differ in their bytes."""
COMMANDS_URL = "http://download.tensorflow.org/data/speech_commands_v0.01.tar.gz"
COMMANDS_SHA256 = "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d"
WORDS = ("bed", "cat", "happy")
Clip = tuple[NDArray[np.int16], int, str]


def spoken_digits(name: str) -> Path:
    """The digits: recordings/DIGIT_SPEAKER_TAKE.wav.

    Raises:
        DownloadFailed: they cannot be fetched, or are not the published ones.
    """
    archive = download(DIGITS_URL, name="fsdd.zip")
    with zipfile.ZipFile(archive) as opened:
        files = {
            entry.rsplit("/", 1)[1]: opened.read(entry)
            for entry in opened.namelist()
            if "/recordings/" in entry and not entry.endswith("/")
        }
    if tree_id(files) != DIGITS_TREE:
        archive.unlink()
        raise DownloadFailed(f"{DIGITS_URL}: the recordings are not the published {DIGITS_TREE}.")

    def clips() -> Iterator[Clip]:
        for file, data in sorted(files.items()):
            digit, speaker, _ = file.split("_")
            yield _samples(data), int(digit), speaker

    return pack_clips(clips(), cache_folder() / name)


def speech_commands(name: str) -> Path:
    """The words: WORD/SPEAKER_nohash_K.wav, about 1.5 GB to fetch.

    Raises:
        DownloadFailed: they cannot be fetched, or the checksum differs.
    """
    archive = download(COMMANDS_URL, sha256=COMMANDS_SHA256, name="speech_commands_v0.01.tar.gz")

    def clips() -> Iterator[Clip]:
        with tarfile.open(archive) as opened:
            for member in opened:
                word, _, file = member.name.removeprefix("./").partition("/")
                data = opened.extractfile(member) if word in WORDS and file else None
                if data is not None:
                    yield _samples(data.read()), WORDS.index(word), file.split("_")[0]

    return pack_clips(clips(), cache_folder() / name)


def tree_id(files: dict[str, bytes]) -> str:
    """What Git calls a folder of plain files: SHA-1 over their names and contents.

    >>> tree_id({"a": b"hello"})
    '8917ce3833750c0f424a16966ef3391aafe880c1'
    """
    entries = b""
    for name, data in sorted(files.items()):
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).digest()
        entries += b"100644 " + name.encode() + b"\0" + blob
    whole = b"tree %d\0" % len(entries) + entries
    return hashlib.sha1(whole, usedforsecurity=False).hexdigest()


def pack_clips(clips: Iterator[Clip], target: Path) -> Path:
    """Write clips as `clips.read` takes them; the file appears whole or not at all.

    Args:
        clips: samples, word and speaker of each.
        target: the .npz.
    """
    audio, words, speakers = zip(*clips, strict=True)
    names, speaker = np.unique(speakers, return_inverse=True)
    part = target.with_name(f"{os.getpid()}-{target.name}")
    np.savez_compressed(
        part,
        audio=np.concatenate(audio),
        offset=np.cumsum([0, *map(len, audio)]),
        label=np.array(words, np.int64),
        speaker=speaker,
        speaker_names=names,
    )
    part.replace(target)
    return target


def _samples(data: bytes) -> NDArray[np.int16]:
    with wave.open(io.BytesIO(data)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.int16)
