//! The inbox: notes of processes that could not write the catalog, until they are folded into it.
//!
//! | in `.dalsegno/inbox/` | what |
//! |---|---|
//! | `<host>-<pid>-<random>.jsonl` | the notes of one process, a line each |
//! | `refused/` | files with a line that could not be folded, `<name>.put-aside-<n>.jsonl` |
//!
//! # Writing
//! One process appends to a file, each line, or some lines, with one write under a lock on the file.
//! Before it writes it looks whether the file still has its name: a file that was folded and
//! unlinked, or set aside, is left and a new one is made. So is one that a network file system does
//! not let write any more. A line that could not be written whole is cut off again. A process that
//! was killed in the middle leaves a last line without its newline: only complete lines are notes.
//!
//! # Reading
//! A reader takes the lock to read, so that it sees no half of a line, and again to unlink or set
//! aside: then the file must have just the bytes that were folded. It never waits for the lock: a
//! file that it cannot lock is read, and stays. Nothing here is trusted: only regular files with
//! one name and of bounded size are read, by descriptors and without following a link, and the
//! owner of a file is who wrote it, unless others may write it.

mod reader;
mod writer;

pub use reader::{Finished, InboxFile, InboxFolder};
pub use writer::InboxWriter;

/// The folder in the registry's folder.
const INBOX: &str = "inbox";
/// The folder in the inbox for files with a line that could not be folded.
const REFUSED: &str = "refused";
/// How the names of files with notes end.
const SUFFIX: &str = ".jsonl";
/// A process begins a new file beyond half of this size, and no larger file is read.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// Most bytes of lines that are written at once, unless a single line has more.
pub const MOST_AT_ONCE: usize = 1024 * 1024;
/// The longest name of a file with notes, in bytes.
const MAX_NAME: usize = 200;

/// The name that a file gets when it is set aside with lines that were not folded. It is another
/// one, because the catalog knows the old name as folded until that is forgotten: a file that was
/// corrected and put back is to be folded whole.
fn refused_name(name: &str) -> String {
    let stem = name.strip_suffix(SUFFIX).unwrap_or(name);
    let counted = stem.rsplit_once(".put-aside-").and_then(|(stem, count)| {
        let count = count.parse::<u32>().ok()?;
        Some((stem, count.checked_add(1)?))
    });
    let (stem, count) = counted.unwrap_or((stem, 1));
    let end = format!(".put-aside-{count}{SUFFIX}");
    // A name that is too long would not be read when the file is put back.
    let most = MAX_NAME.saturating_sub(end.len());
    let stem: String = stem.chars().take(most).collect();
    stem + &end
}

/// Whether a name is one that a file with notes may have.
fn is_note_file(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.len() <= MAX_NAME
        && name.ends_with(SUFFIX)
        && !name.starts_with('.')
        && name.bytes().all(fits)
}
