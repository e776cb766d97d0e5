//! Groups that are one user's own: only that user is in them, so who is in the group is that user.
//!
//! A folder made with a umask of 002 can be written by its group. If that is the group that many
//! systems give each user alone, or the group of root, only that user can have written there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use nix::unistd::{Gid, Group, User};

/// Users of this machine, by lines, and where else the system looks for users.
const USERS: &str = "/etc/passwd";
const SOURCES: &str = "/etc/nsswitch.conf";
/// Sources of users that are all in [`USERS`], or that make a group for each of theirs.
const KNOWN_SOURCES: [&str; 5] = ["files", "altfiles", "compat", "systemd", "db"];
/// Lines that say where users are, and who is in which group.
const OF_USERS: [&str; 5] = [
    "passwd",
    "passwd_compat",
    "group",
    "group_compat",
    "initgroups",
];
/// Most bytes that are read of each.
const MOST_BYTES: u64 = 16 << 20;

/// The only user in a group; `None` if others are in it, or if that is not known.
pub(super) fn owner_of(gid: u32) -> Option<u32> {
    // Asked once a group: the database may be on another machine.
    static KNOWN: Mutex<BTreeMap<u32, Option<u32>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *known.entry(gid).or_insert_with(|| ask(gid))
}

fn ask(gid: u32) -> Option<u32> {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten()?;
    let mut members = Vec::new();
    for name in &group.mem {
        members.push(User::from_name(name).ok().flatten()?.uid.as_raw());
    }
    let sources = match read(SOURCES) {
        Some(text) => text,
        // Without the file the system looks into the file of users.
        None if !std::fs::exists(SOURCES).unwrap_or(true) => String::new(),
        None => return None,
    };
    only_member(gid, members, &read(USERS)?, &sources)
}

fn read(path: &str) -> Option<String> {
    let mut text = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(MOST_BYTES + 1).read_to_end(&mut text).ok()?;
    (text.len() as u64 <= MOST_BYTES).then(|| String::from_utf8_lossy(&text).into_owned())
}

/// The only user of a group. `members`: those that the group lists; `users`: lines with the group
/// that each user has without being listed; `sources`: where users can come from.
fn only_member(
    gid: u32,
    members: impl IntoIterator<Item = u32>,
    users: &str,
    sources: &str,
) -> Option<u32> {
    // Users that are elsewhere cannot be listed, and any of them may have this group. None has that
    // of root.
    if gid != 0 && !sources.lines().all(names_known_sources) {
        return None;
    }
    let mut all: BTreeSet<u32> = members.into_iter().collect();
    for line in users.lines() {
        // Stands for users of another source.
        if gid != 0 && line.starts_with('+') {
            return None;
        }
        let mut fields = line.split(':').skip(2);
        let (Some(user), Some(group)) = (fields.next(), fields.next()) else {
            continue;
        };
        if group.parse() == Ok(gid) {
            all.insert(user.parse().ok()?);
        }
    }
    let mut all = all.into_iter();
    all.next().filter(|_| all.next().is_none())
}

/// Whether a line of the sources names none of users, or members of groups, elsewhere.
fn names_known_sources(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default();
    let Some((of, mut sources)) = line.split_once(':') else {
        return true;
    };
    if !OF_USERS.contains(&of.trim()) {
        return true;
    }
    loop {
        // What is to be done if a source fails is in brackets.
        let (before, rest) = sources.split_once('[').unwrap_or((sources, ""));
        if !before
            .split_whitespace()
            .all(|one| KNOWN_SOURCES.contains(&one))
        {
            return false;
        }
        let Some((_, after)) = rest.split_once(']') else {
            return rest.is_empty();
        };
        sources = after;
    }
}

#[cfg(test)]
mod tests {
    use super::only_member;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nanna:x:1001:1001::/home/anna:/bin/sh\n\
                         ben:x:1002:100::/home/ben:/bin/sh\ncarl:x:1003:100::/home/carl:/bin/sh\n";

    #[test]
    fn a_group_with_one_user_is_that_user() {
        let files = "passwd: files systemd # users\nhosts: files dns\n";
        let none: [u32; 0] = [];
        let cases = [
            (1001, &none[..], files, Some(1001)),
            (1001, &[1001], files, Some(1001)),
            (1001, &none, "", Some(1001)),
            (0, &none, files, Some(0)),
            (0, &[0], files, Some(0)),
            // Another is listed, or has it without being listed; or it is a group without users.
            (1001, &[1002], files, None),
            (0, &[1002], files, None),
            (100, &none, files, None),
            (100, &[1002], files, None),
            (200, &none, files, None),
            (200, &[1002], files, Some(1002)),
            // Users elsewhere may have any group but that of root.
            (1001, &none, "passwd: files sss", None),
            (1001, &none, "passwd:files[NOTFOUND=return] ldap", None),
            (1001, &none, "passwd: files [NOTFOUND=return]sss", None),
            (
                1001,
                &none,
                "passwd: files [!UNAVAIL=return] systemd",
                Some(1001),
            ),
            (1001, &none, "group: files sss", None),
            (0, &none, "passwd: files sss", Some(0)),
        ];
        for (gid, members, sources, expected) in cases {
            let found = only_member(gid, members.iter().copied(), USERS, sources);
            assert_eq!(found, expected, "{gid} {members:?} {sources}");
        }
        let more = format!("{USERS}+::::::\n");
        assert_eq!(only_member(1001, none, &more, files), None);
        let operator = format!("{USERS}operator:x:11:0:operator:/root:/sbin/nologin\n");
        assert_eq!(only_member(0, none, &operator, files), None);
    }
}
