"""What the explorer loads: bytes as they are and as they are sent, by room, for the page and for its worker.

Run: python benchmarks/explorer_size.py
"""

from __future__ import annotations

from collections import defaultdict

from service.explorer.assets import CATALOGUE, PAGE, assets, modules_of

ENTRIES = {"page": "main.js", "worker": "worker.js"}
BESIDE = {"page": (PAGE, "style.css", CATALOGUE), "worker": ()}


def main() -> None:
    """Print one line for each room, and the sums."""
    files = assets()
    bodies = {path: asset.body for path, asset in files.items()}
    loaded = {part: {*modules_of(entry, bodies), *BESIDE[part]} for part, entry in ENTRIES.items()}
    for part, paths in {**loaded, "both": set.union(*loaded.values())}.items():
        rooms: dict[str, list[str]] = defaultdict(list)
        for path in sorted(paths):
            rooms[path.split("/")[0]].append(path)
        print(f"{part:16}{'files':>6}{'bytes':>10}{'gzip':>9}")
        for room, members in [*(rooms.items() if part in ENTRIES else ()), ("sum", sorted(paths))]:
            sent = sum(len(files[path].compressed) for path in members)
            print(f"  {room:14}{len(members):>6}{sum(len(files[path].body) for path in members):>10,}{sent:>9,}")


if __name__ == "__main__":
    main()
