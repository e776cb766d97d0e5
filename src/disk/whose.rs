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
    let owner = User::from_uid(Uid::from_raw(stat.st_uid));
    let owner = owner.ok().flatten().map(|owner| owner.name);
    // A number without a name on this machine still says whose it is.
    let owner = owner.unwrap_or_else(|| stat.st_uid.to_string());
    format!(
        "belongs to {owner}, group {}, mode {text}",
        group_name(stat.st_gid)
    )
}

/// The name of a group on this host, or its number.
pub(crate) fn group_name(gid: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}
