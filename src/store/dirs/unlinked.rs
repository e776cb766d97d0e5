//! Files that were unlinked on NFS while a process had them open.
//!
//! The client renames such a file to `.nfs`, the number of its inode and a counter, both as
//! hexadecimal digits, and unlinks it when it is closed. Until then all hosts see that name.

const PREFIX: &[u8] = b".nfs";
/// 16 of the inode's number, and 8 of the counter.
const DIGITS: usize = 24;

/// Whether a file of this name was unlinked already, so that it belongs to no artifact.
pub(crate) fn is_unlinked(name: &[u8]) -> bool {
    let digits = name.strip_prefix(PREFIX);
    digits.is_some_and(|it| it.len() == DIGITS && it.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nfs_gives_are_those_of_unlinked_files() {
        assert!(is_unlinked(b".nfs0000000000a2104f0000001b"));
        for name in [
            &b".nfs"[..],
            b".nfs0000000000a2104f0000001",
            b".nfs0000000000a2104f0000001bb",
            b".nfs0000000000a2104f0000001g",
            b"nfs00000000000a2104f0000001b",
            b".zarray",
            b"0.0.0",
        ] {
            assert!(!is_unlinked(name), "{}", name.escape_ascii());
        }
    }
}
