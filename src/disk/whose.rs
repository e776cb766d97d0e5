//! Whose a file or folder is, in words.

use nix::unistd::{Gid, Group, Uid, User};
use rustix::fs::Stat;

/// Owner, group and mode, in words.
pub(crate) fn whose(stat: &Stat) -> String {
    let mode = stat.st_mode & 0o7777;
    let bit = |bit: u32, letter: char| if mode & bit == 0 { '-' } else { letter };
    // As `ls` writes it: a capital if the special bit comes without the right to execute.
    let execute = |execute, special, letter: char| match (mode & execute, mode & special) {
        (0, 0) => '-',
        (_, 0) => 'x',
        (0, _) => letter.to_ascii_uppercase(),
        _ => letter,
    };
    let text: String = [
        (0o400, 0o200, 0o100, 0o4000, 's'),
        (0o040, 0o020, 0o010, 0o2000, 's'),
        (0o004, 0o002, 0o001, 0o1000, 't'),
    ]
    .iter()
    .flat_map(|&(read, write, run, special, letter)| {
        [
            bit(read, 'r'),
            bit(write, 'w'),
            execute(run, special, letter),
        ]
    })
    .collect();
    format!(
        "belongs to {}, group {}, mode {text}",
        owner_name(stat.st_uid),
        group_name(stat.st_gid)
    )
}

/// The name of a user on this host, or its number, which still says whose something is.
pub(crate) fn owner_name(uid: u32) -> String {
    let owner = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    owner.map_or_else(|| uid.to_string(), |owner| owner.name)
}

/// The name of a group on this host, or its number.
pub(crate) fn group_name(gid: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}
