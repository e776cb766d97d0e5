"""Checks that no dependency needs a newer Rust than `rust-version` in Cargo.toml promises.

Reads `cargo metadata` on standard input. Prints the version that is promised.
"""

import json
import sys


def parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def main() -> None:
    packages = json.load(sys.stdin)["packages"]
    promised = next(p["rust_version"] for p in packages if p["name"] == "dalsegno")
    newer = [
        f"{package['name']} {package['version']} needs Rust {package['rust_version']}"
        for package in packages
        if package["rust_version"] and parts(package["rust_version"]) > parts(promised)
    ]
    if newer:
        sys.exit("\n".join([f"rust-version is {promised}, but:", *newer]))
    print(promised)


main()
