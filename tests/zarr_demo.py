"""Opens every array that `dalsegno demo` wrote with zarr-python, and checks what is in it.

Usage: zarr_demo.py DEMO_DIR LIST_JSON, where LIST_JSON is what `dalsegno list --json` printed.
"""

import json
import sys

import zarr

EDGE = 24
MIDDLE = EDGE / 2


def voxel(level, *at):
    """The value that the demonstration gives a voxel: a ball with a soft edge."""
    distance = sum((i + 0.5 - MIDDLE) ** 2 for i in at) ** 0.5
    return int(min(max(level + 8.0 * (MIDDLE - distance), 0.0), 255.0))


def level_of(artifact):
    """The level that the demonstration writes for an artifact of this kind."""
    return {
        "prediction": (artifact["iteration"] or 0) // 20,
        "output": (artifact["iteration"] or 0) // 30,
        "input-raw": 100,
        "input-gt": 100,
        "snapshot": 50,
    }[artifact["kind"]]


def main(demo, listing):
    with open(listing, encoding="utf-8") as file:
        artifacts = json.load(file)["artifacts"]
    formats = set()
    opened = 0
    for artifact in artifacts:
        path = artifact["path"]
        assert path.startswith(demo + "/"), path
        if artifact["state"] != "present":
            continue
        array = zarr.open_array(path, mode="r")
        assert array.shape == (EDGE,) * 3, (path, array.shape)
        assert array.chunks == (EDGE // 2,) * 3, (path, array.chunks)
        assert array.dtype == "uint8", (path, array.dtype)
        for at in [(0, 0, 0), (12, 12, 12), (11, 12, 13), (3, 20, 12), (23, 23, 23)]:
            found, expected = int(array[at]), voxel(level_of(artifact), *at)
            assert found == expected, (path, at, found, expected)
        formats.add(array.metadata.zarr_format)
        opened += 1
    assert formats == {2, 3}, formats
    assert opened == 42, opened
    print(f"zarr-python {zarr.__version__} reads all {opened} arrays, of zarr formats 2 and 3")


if __name__ == "__main__":
    main(*sys.argv[1:])
