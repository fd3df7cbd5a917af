"""Few-shot classification of handwritten characters; each client owns one alphabet.

Protocol: Lake et al., Science 350 (2015); N-way K-shot as in Vinyals et al., 2016
(arXiv:1606.04080), but the classes of an episode are of one alphabet, which is harder.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.spec import ModelSpec
from server.tasks.base import Episode, Split, shuffled
from server.tasks.images import Images, load, read

__all__ = ["CharactersClient", "CharactersTask"]

Float32 = NDArray[np.float32]
_load = cache(load)


@dataclass(frozen=True)
class CharactersClient:
    """One alphabet's drawings, grouped by character.

    Args:
        name: for people.
        groups: float32 [drawings, side, side] for each character.
        ways: characters of an episode.
        rotate: turn each chosen character by 0, 90, 180 or 270 degrees, as another character.
    """

    name: str
    groups: tuple[Float32, ...]
    ways: int
    rotate: bool

    def episode(self, rng: np.random.Generator, *, shots: int, queries: int) -> Episode:
        """Draw characters, then different drawings of each for support and query; shuffled.

        Raises:
            UsageError: a character has fewer drawings than shots and queries need.
        """
        chosen = rng.choice(len(self.groups), self.ways, replace=False)
        support, query = [], []
        for label, group in enumerate(chosen):
            drawings = self.groups[group]
            if shots + queries > len(drawings):
                raise UsageError(
                    f"{shots} shots and {queries} queries need {shots + queries} drawings of a "
                    f"character, {self.name} has {len(drawings)}."
                )
            if self.rotate:
                drawings = np.rot90(drawings, rng.integers(4), axes=(1, 2))
            picked = drawings[rng.permutation(len(drawings))[: shots + queries]]
            flat = picked.reshape(len(picked), -1)
            support += [(x, label) for x in flat[:shots]]
            query += [(x, label) for x in flat[shots:]]
        return Episode(*shuffled(support, rng), *shuffled(query, rng))


class CharactersTask:
    """N-way characters; the characters of the test clients are never seen in training.

    Args:
        ways: classes of an episode.
        hidden: widths of the hidden layers.
        side: 14 or 28 pixels.
        mixed: an episode's characters are of all test alphabets, as usually published, not of one.
        data: an .npz of drawings that become the test clients; see `images.read`.
    """

    name = "characters"
    metric = "accuracy"
    higher_is_better = True
    preprocessing = "pixels, ink 1 and paper 0"

    def __init__(
        self,
        *,
        ways: int = 5,
        hidden: tuple[int, ...] = (64,),
        side: int = 14,
        mixed: bool = False,
        data: Path | None = None,
    ) -> None:
        if ways < 2:
            raise UsageError(f"ways is {ways}, at least 2 are needed.")
        if side not in (14, 28):
            raise UsageError(f"side is {side}, 14 or 28 is needed.")
        self.ways, self._hidden = ways, hidden
        source = _load("train", side)
        test = _load("test", side) if data is None else read(data, side)
        if test.source != source.source:
            raise UsageError("only one half of Omniglot was found.", hint="both, or neither")
        self.description = f"{source.source}; {ways}-way episodes"
        self._owners: dict[Split, list[tuple[Float32, ...]]] = {
            "train": _owners(source, ways),
            "test": _owners(test, ways),
        }
        if mixed:
            self.description += ", of all test alphabets"
            self._owners["test"] = [_groups(test, np.full(len(test.klass), True))]
        if not self._owners["train"] or not self._owners["test"]:
            raise UsageError(f"no alphabet has {ways} characters.", hint="fewer ways")

    def spec(self) -> ModelSpec:
        """Pixels to hidden relu layers to a softmax over the classes, cross-entropy."""
        n_in = self._owners["train"][0][0][0].size
        return ModelSpec.mlp([n_in, *self._hidden, self.ways], output="softmax")

    def drawings(self, split: Split) -> list[Float32]:
        """float32 [drawings, side, side] of every character of a split."""
        return [group for owner in self._owners[split] for group in owner]

    def clients(self, split: Split) -> int:
        """How many alphabets (or shares of digits) a split has."""
        return len(self._owners[split])

    def client(self, index: int, split: Split) -> CharactersClient:
        """One alphabet; training ones are augmented by rotation."""
        number = index % self.clients(split)
        name = f"characters-{split}-{number}"
        rotate = split == "train"
        return CharactersClient(name, self._owners[split][number], self.ways, rotate)

    def measure(self, outputs: Float32, targets: Float32) -> float:
        """Share of the queries whose largest output is the right class."""
        return float(np.mean(outputs.argmax(axis=1) == targets[:, 0]))


def _owners(images: Images, ways: int) -> list[tuple[Float32, ...]]:
    owners = []
    for owner in np.unique(images.owner):
        groups = _groups(images, images.owner == owner)
        if len(groups) >= ways:
            owners.append(groups)
    return owners


def _groups(images: Images, mine: NDArray[np.bool_]) -> tuple[Float32, ...]:
    """Drawings of each character among those chosen."""
    kinds = np.unique(images.klass[mine])
    return tuple(images.pixels[mine & (images.klass == kind)] for kind in kinds)
