"""The project speaks of itself alone, and its documents stay true to the tree."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name]


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except (UnicodeDecodeError, FileNotFoundError):
        return ""


def test_no_path_of_a_machine_is_in_the_tree() -> None:
    pattern = re.compile(r"/" + r"work/|/" + r"root/|/tmp" + r"/venv")
    found = [str(path) for path in tracked() if pattern.search(text_of(path))]
    assert found == []


def test_the_map_names_only_what_exists() -> None:
    for document in ("ARCHITECTURE.md", "README.md", "CONTRIBUTING.md"):
        text = text_of(ROOT / document)
        for name in re.findall(
            r"`((?:edge|server|ontology|firmware_sim|tests|benchmarks|docs|examples|tools)/[\w./-]*)`",
            text,
        ):
            assert (ROOT / name).exists(), f"{document} names {name}, which is not there"


def test_every_package_folder_is_on_the_map() -> None:
    text = text_of(ROOT / "ARCHITECTURE.md")
    for room in ("edge", "server", "ontology", "firmware_sim"):
        for path in (ROOT / room).iterdir():
            if path.name.startswith(("_", ".")) or path.suffix not in ("", ".py"):
                continue
            assert f"{path.name}" in text, f"{room}/{path.name} is not on the map"


def test_links_in_the_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", text_of(document)):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
