"""Handwritten characters as arrays: Omniglot where it is found or fetched, else digits.

Omniglot: Lake, Salakhutdinov, Tenenbaum, Science 350 (2015) 1332-1338, MIT licence.
Digits: the 8x8 handwritten digits that scikit-learn ships (UCI, CC BY 4.0).
"""

import io
import logging
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from server.tasks.base import Split
from server.tasks.data import DownloadFailed, cache_folder, download, find

__all__ = ["Images", "digits", "load", "omniglot", "pack", "read"]

COMMIT = "057f034"
URL = f"https://github.com/brendenlake/omniglot/raw/{COMMIT}/python/"
ORIGINALS = {
    "train": ("images_background.zip", "68d2efa1b9178cc56df9314c21c6e718"),
    "test": ("images_evaluation.zip", "6b91aef0f799c5bb55b94e3f2daec811"),
}
DIGIT_CLIENTS = 10
LOCAL = {
    "train": ("omniglot_background.npz",),
    "test": ("omniglot_evaluation.npz", "omniglot_evaluation_dev.npz"),
}
"""Packed copies; the first name is also what an original is packed to in the cache."""
WANTED = "images uint8 [n, 28, 28], char_id and alphabet integers [n]"
log = logging.getLogger("tinyfleet.tasks")


@dataclass(frozen=True)
class Images:
    """Drawings of one split.

    Args:
        source: which data this is.
        pixels: float32 [n, side, side] in 0..1, ink is 1.
        klass: int [n], which character.
        owner: int [n], which client owns the drawing (the alphabet, or a share).
    """

    source: str
    pixels: NDArray[np.float32]
    klass: NDArray[np.int64]
    owner: NDArray[np.int64]


def load(split: Split, side: int = 14) -> Images:
    """Omniglot from a local copy or its publisher; digits where neither is to be had."""
    try:
        return omniglot(split, side)
    except DownloadFailed as error:
        log.warning("Omniglot is not at hand (%s); handwritten digits are used.", error.message)
        return digits(split)


def omniglot(split: Split, side: int = 14) -> Images:
    """Omniglot: background alphabets to train on, evaluation alphabets to test on.

    Args:
        split: which half.
        side: 14 or 28 pixels.

    Raises:
        DownloadFailed: there is no local copy and the original cannot be fetched.
    """
    path = next((found for name in LOCAL[split] if (found := find(name))), None)
    if path is None:
        name, md5 = ORIGINALS[split]
        original = download(URL + name, md5=md5, name=name)
        path = pack(original, cache_folder() / LOCAL[split][0])
    return read(path, side)


def read(path: Path, side: int = 14) -> Images:
    """Drawings from an .npz: images uint8 [n, 28, 28], ink 255; char_id and alphabet [n].

    Raises:
        UsageError: the file or an array of it is not so.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = [stored[name] for name in ("images", "char_id", "alphabet")]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"{path} holds no drawings: {error}.",
            hint="an .npz with images, char_id, alphabet; or --task own, for x and y of any model",
        ) from error
    images, klass, owner = arrays
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise UsageError(f"{path}: images {images.dtype} {images.shape} came.", hint=WANTED)
    for name, array in (("char_id", klass), ("alphabet", owner)):
        if array.shape != (len(images),) or array.dtype.kind not in "iu":
            raise UsageError(f"{path}: {name} {array.dtype} {array.shape} came.", hint=WANTED)
    return _images(images, klass, owner, side)


def digits(split: Split) -> Images:
    """Digits 0 to 4 to train on, 5 to 9 to test on, dealt to ten clients; 8x8."""
    from sklearn.datasets import load_digits

    data = load_digits()
    chosen = np.flatnonzero((data.target < 5) == (split == "train"))
    pixels = (data.images[chosen] / 16.0).astype(np.float32)
    klass = data.target[chosen].astype(np.int64)
    owner = np.empty(len(chosen), np.int64)
    for kind in np.unique(klass):  # class by class, so that every client has as many of each
        rows = np.flatnonzero(klass == kind)
        owner[rows] = np.arange(len(rows)) % DIGIT_CLIENTS
    return Images("digits 8x8, a share of the drawings each", pixels, klass, owner)


def _images(
    raw: NDArray[np.uint8], klass: NDArray[np.generic], owner: NDArray[np.generic], side: int
) -> Images:
    """Average the blocks of 28x28 drawings."""
    block = 28 // side
    blocks = raw.reshape(len(raw), side, block, side, block).astype(np.float32)
    pixels = (blocks.mean(axis=(2, 4)) / 255.0).astype(np.float32)
    source = f"Omniglot {side}x{side}, an alphabet each"
    return Images(source, pixels, klass.astype(np.int64), owner.astype(np.int64))


def pack(archive: Path, target: Path) -> Path:
    """Turn an original archive into arrays once, since reading its pictures takes a while.

    Args:
        archive: zip of folder/alphabet/character/number_drawer.png, black ink on white.
        target: the .npz to write: images uint8 [n, 28, 28] with ink 255, char_id, alphabet.

    Returns:
        The target; it appears whole or not at all.
    """
    from PIL import Image

    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".png"))
        raw = np.empty((len(names), 28, 28), np.uint8)
        for row, name in enumerate(names):
            picture = Image.open(io.BytesIO(opened.read(name))).convert("L")
            ink = Image.eval(picture, lambda value: 255 - value)
            raw[row] = np.asarray(ink.resize((28, 28), Image.Resampling.BOX))
    characters = np.unique(["/".join(name.split("/")[1:3]) for name in names], return_inverse=True)
    alphabets = np.unique([name.split("/")[1] for name in names], return_inverse=True)
    part = target.with_name(f"{os.getpid()}-{target.name}")
    np.savez_compressed(part, images=raw, char_id=characters[1], alphabet=alphabets[1])
    part.replace(target)
    return target
