"""What to do about an error, in Python's words: calls and arguments."""

from __future__ import annotations

WORDS: dict[str, str] = {
    "init": "make one with dalsegno.Registry(base, create=True), then call scan()",
    "check-base": "check the path; dalsegno never makes a base directory",
    "give-runs-folder": "give the folder that holds the runs",
    "ask-for-access": "ask its owner for the right to read it",
    "give-local-folder": "give a folder of this machine, by a name in UTF-8",
    "rebuild": (
        "call dalsegno.rebuild(base): it sets the catalog aside and makes a new one from "
        "the newest good backup and what is on disk"
    ),
    "reopen": "open the registry again; the call changed nothing",
    "verify-or-force": (
        "compare it with the disk with verify(), or rebuild it all the same with force=True"
    ),
    "bring-catalog-folder-back": (
        "mount its disk, or make the folder, or name another file in .dalsegno/config.toml; "
        "then call dalsegno.rebuild(base)"
    ),
    "copy-whole-database": (
        "copy it whole with: sqlite3 FILE \".backup COPY\"; then pass the copy to "
        "dalsegno.rebuild"
    ),
    "name-right-catalog": (
        "pass the right file as catalog, or leave catalog out; if another file took its "
        "place in .dalsegno, call dalsegno.rebuild(base)"
    ),
    "use-newer-version": "use a newer dalsegno; the catalog was not touched",
    "migrate": (
        "open it without read_only once, as a user who may write it; a backup is made first"
    ),
    "check-catalog-and-base": (
        "this catalog describes another base directory; check base and catalog; if it lies "
        "in the place of the right one, move it away, then call dalsegno.rebuild(base)"
    ),
    "move-away-from-folder-name": "move it away; the registry's folder has this name",
    "name-new-catalog": "pass a catalog that does not exist yet",
    "leave-catalog-out": "leave catalog out, or unset DALSEGNO_CATALOG",
    "use-local-disk": (
        "put the catalog on a local disk with catalog=PATH; or, if all writers run on this "
        "host, pass single_host=True, both with create=True"
    ),
    "use-its-host": "run it there, or open the registry with read_only=True",
    "wait-longer": "try again, or open the registry with a longer lock_timeout",
    "use-writable": (
        "open the registry without read_only, as a user who may write the catalog and the "
        "folder around it"
    ),
    "reopen-after-fork": "close the registry before the fork, and open it again in the child",
    "free-catalog-space": "free space on the file system of the catalog",
    "show-path": "these two keys share a path; see get(Path(...))",
    "free-backup-space": (
        "free space there for a copy of the catalog, or mend what is in the way, then "
        "repeat the call; nothing was changed"
    ),
    "correct-config": "correct the file; the documentation lists its keys",
    "record-or-scan": (
        "see what is recorded with list(), or take in what is on disk with scan()"
    ),
    "write-first": "write the array first",
    "select-both": "select both, or move one of them elsewhere",
    "unmount": "unmount it first",
    "look-again": "look at it again and repeat the call; nothing was done",
    "unpin": (
        "let it go with unpin(name), or remove it all the same with force_pinned=True"
    ),
    "ignore-best-links": (
        "remove it all the same with ignore_best_links=True; the link itself is DaCapo's"
    ),
    "mend-best-link": (
        "mend or move it, or leave best links aside with ignore_best_links=True"
    ),
    "plan-again": "make a new plan with plan_gc(...), and look at it",
    "correct-scores": "correct the line; no score was recorded",
    "give-plan-file": (
        "give what to_json() of a plan returned, or a file that dalsegno gc --plan-out "
        "wrote"
    ),
    "give-plan-base": "open the registry of the base directory that the plan was made for",
    "keep-something": "keep something of it, or allow that with allow_empty_group=True",
    "measure": "measure them with refresh(measure=True)",
    "list-pins": "see which there are with pins()",
    "change-pin-call": "leave reason out to let it bind more, or take another name",
    "give-reason": "say why with reason=...",
    "list-recorded": "see what is recorded with list()",
    "list-operations": "see which there are with history()",
    "show-operation": "see what it did with operation(id)",
    "undo-later-first": "see what changed it with history(); undo the later operation first",
    "list-trash": "see what can be restored with trash()",
    "report": (
        "report it, with what happened before and what this prints in a shell: dalsegno "
        "doctor"
    ),
    "clear-place": "move away what stands there, then restore again",
    "make-folder": "make it with dalsegno.Registry(base, create=True, catalog=PATH)",
    "free-space": (
        "free some space, or empty the trash with empty_trash(); nothing was changed"
    ),
    "remove-by-hand": "remove it at its own place; a rename cannot take it to the trash",
    "move-away-and-verify": "look at what stands there, and move it away; see verify()",
    "verify": (
        "another program changed the catalog or a manifest; see verify(); no data is "
        "touched"
    ),
    "remove-link-target": "remove what it points to at its own place; see also verify()",
    "give-array-path": (
        "give a path that lies in a folder ending in .zarr or .n5, or that of a checkpoint"
    ),
    "put-container-in-run": "a container lies in the folder of its run",
    "give-path-in-base": "give a path below the base directory",
    "correct-name": "names are relative, without the components . and ..",
    "fix-cause": "mend the cause, then repeat the call",
}
"""The words of each hint that the library gives, by its name."""
