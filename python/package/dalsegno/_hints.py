"""What to do about an error, in Python's words: calls and arguments, no flags."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Optional

WORDS: dict[str, str] = {
    "init": "create a registry with dalsegno.Registry(base, create=True), then call scan()",
    "check-base": "check the path; the registry never makes a base directory",
    "give-runs-folder": "give the folder that holds the runs",
    "ask-for-access": "ask its owner for permission to read it",
    "give-local-folder": "give a folder on this machine whose name is UTF-8",
    "rebuild": (
        "call dalsegno.rebuild(base): it makes a new one from the newest good backup or "
        "published copy and the disk, and keeps an old file beside it"
    ),
    "reopen": "open the registry again; the call changed nothing",
    "verify-or-force": (
        "compare it with the disk by verify(), or rebuild it anyway with force=True"
    ),
    "bring-catalog-folder-back": (
        "mount its disk, make the folder, or name another file in .dalsegno/config.toml; "
        "then call dalsegno.rebuild(base)"
    ),
    "copy-whole-database": (
        'copy it whole with: sqlite3 FILE ".backup COPY"; then pass the copy to dalsegno.rebuild'
    ),
    "name-right-catalog": (
        "pass the right file as catalog, or leave catalog out; if another file took its "
        "place in .dalsegno, call dalsegno.rebuild(base)"
    ),
    "use-newer-version": "install a newer version of dalsegno; the catalog was not touched",
    "migrate": (
        "open it without read_only once, as a user who may write it; a backup is made first"
    ),
    "check-catalog-and-base": (
        "this catalog belongs to another base directory; check base and catalog; if it "
        "replaced the right one, move it away, then call dalsegno.rebuild(base)"
    ),
    "move-away-from-folder-name": (
        "move it away, a link itself and not what it points to; the registry needs this name for "
        "its folder"
    ),
    "name-new-catalog": "pass a catalog that does not exist yet",
    "leave-catalog-out": "leave catalog out, or unset DALSEGNO_CATALOG",
    "use-keeper": (
        "run it on that host; if that host was renamed, or the catalog moved here: "
        "Registry(base, keeper=True), with catalog=PATH if its path is another one"
    ),
    "take-up-catalog": (
        "on the host that has it, take it up again with: Registry(base, create=True, "
        "catalog=PATH), with the path of its file, beside which PATH.base names this base "
        "directory; until then what is recorded is noted"
    ),
    "find-catalog": (
        "run it on the host that has the catalog, or mount its disk; if it is lost, or was copied "
        "to this host, say so with: Registry(base, keeper=True, catalog=PATH)"
    ),
    "copy-catalog": (
        'copy it there, on its host, with: sqlite3 FILE ".backup PATH"; if it is lost, copy '
        ".dalsegno/published.sqlite3, or the newest file in .dalsegno/backups; then call it again"
    ),
    "take-newer-catalog": (
        "move the catalog and the files beside it away, copy .dalsegno/published.sqlite3 to its "
        "path, then call it again"
    ),
    "ask-the-owner": "have that user, or root, call it",
    "bind-catalog": (
        "if it is the catalog of this base directory, say so with "
        "dalsegno.Registry(base, create=True, catalog=PATH); if not, take the line `path` out of "
        ".dalsegno/config.toml"
    ),
    "set-clock": "set the clock of this machine, then call it again",
    "publish": "on the host that has the catalog, call publish()",
    "use-local-disk": (
        "put the catalog on a local disk with catalog=PATH; or, if all writers run on this "
        "host, pass single_host=True, both with create=True"
    ),
    "use-its-host": (
        "run it there, or open the registry with read_only=True; if that host was renamed: "
        "Registry(base, keeper=True)"
    ),
    "wait-longer": "try again, or open the registry with a longer lock_timeout",
    "use-writable": (
        "open the registry without read_only, as a user who may write the catalog and the "
        "folder around it"
    ),
    "reopen-after-fork": "close the registry before the fork, and open it again in the child",
    "free-catalog-space": (
        "delete a file on the file system of the catalog; if it has space, its inodes are used up "
        "(df -i), and some files must go by hand"
    ),
    "free-by-removal": (
        "free space with remove(), or with empty_trash() if something is in the trash; a reserve "
        "lets both work on a full disk"
    ),
    "free-copy-space": (
        "free space in the base directory with remove(), or with empty_trash() if something is in "
        "the trash; then call publish()"
    ),
    "open-backups": (
        "its owner, or root, can let this user read it; to begin without it, on the command line: "
        "dalsegno rebuild --from BACKUP, or dalsegno rebuild --from-disk, which has no pins and "
        "scores"
    ),
    "show-path": "these two keys share a path; see get(Path(...))",
    "free-backup-space": (
        "free space there for a copy of the catalog, or fix the cause, then repeat the "
        "call; nothing was changed"
    ),
    "correct-config": "correct the file; the documentation lists its keys",
    "record-or-scan": ("list what is recorded with list(), or adopt what is on disk with scan()"),
    "scan-checkpoints": (
        "list what is recorded with list(), or adopt the checkpoints on disk with "
        "scan(kind='checkpoint')"
    ),
    "list-run": "see what is recorded of it with list(run=...), and give one of these",
    "list-folder": "see what is in it with list(below=...), and give one of these",
    "write-first": "write the array first",
    "seal-without-complete": (
        "write the missing chunks; if they hold only the fill value, seal without complete=True"
    ),
    "correct-exclusion": (
        "give each name as it is recorded, several as a list; runs() and list() show them"
    ),
    "write-levels": (
        "write the missing levels; if the rest is all that there will be, seal without"
        " complete=True"
    ),
    "seal-uncounted": "seal without complete=True",
    "select-both": (
        "select both, or move one of them elsewhere; what has no row yet gets one by scan()"
    ),
    "unmount": "unmount it first",
    "use-inner-registry": (
        "see what that registry records with list() of its base directory; move its folder out of "
        "this one, or remove it, then repeat the call"
    ),
    "look-again": "repeat the call; nothing was changed",
    "move-by-hand": "ask the user who put it there to do this, or check what it holds and move it "
    "by hand",
    "share-folder": (
        "ask its owner to do this, or to give the folder to the group: chmod -R g+rwX; in "
        "remove(), keep_going=True skips it"
    ),
    "unpin": ("unpin it with unpin(name), or remove it anyway with force_pinned=True"),
    "ignore-best-links": (
        "remove it anyway with ignore_best_links=True; the link itself is DaCapo's"
    ),
    "mend-best-link": ("fix or move the link, or ignore best links with ignore_best_links=True"),
    "plan-again": (
        "it changed while the call ran: call it again, or make a new plan with plan_gc(...) and "
        "review it"
    ),
    "empty-of-name": (
        "see what it is with trash(); delete it for good with empty_trash(removals=[...]); or give "
        "another name"
    ),
    "give-other-name": "give a name that no run, folder or removal has; see trash()",
    "end-training": "wait until the training has ended; or pass active=True if none is at work",
    "follow-or-force": (
        "let rows, pins and scores follow their data with verify(repair=True); if they cannot, "
        "remove what is recorded under the old name with force_pinned=True; the same removes the "
        "data after a refused removal"
    ),
    "name-back-or-force": (
        "give the folder its old name back; or, if it is that of a run or a container, let the "
        "rows follow with verify(repair=True); force_pinned=True takes the row out all the same, "
        "and leaves the data"
    ),
    "seal-at-keeper": (
        "its owner, or root, can seal it here; on the host that has the catalog anyone who may "
        "write the registry can, with seal()"
    ),
    "repair-moved": (
        "if it was renamed by hand, rows, pins and scores follow with verify(repair=True); if its "
        "old name was written again, pin the new one with pin(); force_pinned=True removes it all "
        "the same"
    ),
    "correct-scores": "correct the line; no score was recorded",
    "give-plan-file": ("give the text that to_json() of a plan returned"),
    "give-plan-base": "open the registry of the base directory that the plan was made for",
    "keep-something": "keep something of it, or allow that with allow_empty_group=True",
    "measure": "measure them with refresh(measure=True)",
    "list-pins": "see which there are with pins()",
    "change-pin-call": "leave reason out to add to this pin, or choose another name",
    "give-reason": "give a reason with reason=...",
    "list-recorded": "see what is recorded with list()",
    "list-operations": "see which there are with history()",
    "show-operation": "see what it did with operation(id)",
    "undo-before": "undo the one before it with undo(id)",
    "undo-later-first": "see what changed it with history(); undo the later operation first",
    "list-trash": "see what can be restored with trash()",
    "forget-lost": (
        "move it back to where it was in the trash; restore the rest of its removal with "
        "restore(id); if nothing is left of that, forget it with empty_trash(removals=...)"
    ),
    "report": (
        "report it, with what happened before and what this prints in a shell: dalsegno doctor"
    ),
    "clear-place": (
        "see what is at that path with get(path); if it is not needed, move it away, then restore "
        "again"
    ),
    "make-folder": "make it with dalsegno.Registry(base, create=True, catalog=PATH)",
    "free-space": (
        "free space, also with empty_trash() if something is in the trash; nothing was changed"
    ),
    "remove-by-hand": "remove it by hand; a rename cannot move it to the trash",
    "move-away-and-verify": "check what is at that path and move it away; see verify()",
    "verify": (
        "another program changed the catalog or a manifest; see verify(), which touches no data"
    ),
    "remove-link-target": (
        "to remove what it points to, name that by its own path; to restore, move the link away"
    ),
    "give-pyramid-path": "name the path of the pyramid; its levels stay or go with it",
    "give-array-path": (
        "give the path of an array, a container or a checkpoint in the folder of a run"
    ),
    "put-container-in-run": "a container lies in the folder of its run",
    "give-path-in-base": "give a path below the base directory",
    "give-path-alone": (
        "give the name of a run; for what is below the folder, give its path without run: "
        "remove(path), or below=path"
    ),
    "correct-name": "names are relative, without the components . and ..",
    "fix-cause": "fix the cause, then repeat the call",
}
"""The words of each hint that the library gives, by its name."""

_CALLS = {
    "rebuild": "dalsegno.rebuild(base)",
    "refresh --all": "refresh(all=True)",
    "restore (?P<restored>[0-9]\\S*)": "restore('{}')",
    "rm PATH": "remove(path)",
    "rm": "remove(...)",
    "mv RUN NEW": "rename_run(run, new)",
    "mv": "rename_run(run, to)",
    "scan --kind checkpoint": "scan(kind='checkpoint')",
    "scan": "scan()",
    "score": "score(...)",
    "seal --hash PATH": "seal(path, hash=True)",
    "seal PATH": "seal(path)",
    "trash empty (?P<emptied>[0-9][^\\s;]*)": "empty_trash(removals='{}')",
    "trash empty": "empty_trash()",
    "unpin (?P<unpinned>'[^']*'|[^\\s;,]+)": "unpin('{}')",
    "verify --repair": "verify(repair=True)",
    "verify": "verify()",
}
"""The calls that do what a command does, by the command in the library's words. What begins with
another comes before it."""

_COMMAND = re.compile(
    "|".join(f"dalsegno (?P<c{at}>{command})(?![\\w-])" for at, command in enumerate(_CALLS))
    + "|(?P<flag>--state damaged)"
)


def filled(hint: str, path: Optional[Path], host: Optional[str]) -> str:
    """Give the words of a hint, with the path and the host that the error knows."""
    words = WORDS[hint]
    if hint == "list-folder" and path is not None:
        return words.replace("...", repr(os.fspath(path)))
    if hint != "seal-at-keeper":
        return words
    if host is not None:
        there = "on the host that has the catalog"
        words = words.replace(there, f"on host {host}, which has the catalog,")
    return words if path is None else words.replace("seal()", f"seal({os.fspath(path)!r})")


def in_python(words: str) -> str:
    """Give the words of the library with calls instead of commands."""
    return words if "dalsegno " not in words and "--" not in words else _COMMAND.sub(_call, words)


def _call(found: re.Match[str]) -> str:
    if found["flag"] is not None:
        return "damaged=True"
    at = next(at for at in range(len(_CALLS)) if found[f"c{at}"] is not None)
    name = found["restored"] or found["emptied"] or found["unpinned"] or ""
    return list(_CALLS.values())[at].format(name.strip("'"))


def reworded(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the findings of a walk or of a verification in Python's words, in place."""
    for finding in findings:
        for field in ("detail", "next"):
            if finding.get(field) is not None:
                finding[field] = in_python(finding[field])
    return findings
