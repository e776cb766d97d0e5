//! The checksums of a log, which bind each page in it to all that are before.
//!
//! SQLite reads a log up to the first page whose checksum does not fit, and the next change is
//! written over the rest. So one damaged page takes all changes behind it, though they are there.
//! [`is_torn`] says whether it is so; [`mend`] gives a private copy checksums that fit. The format is
//! that of <https://sqlite.org/fileformat2.html#the_write_ahead_log>.
//!
//! What a transaction that was rolled back has left in the log has the same marks as what counts,
//! but no page of it ends a transaction. So a log ends with the last page that does.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::mend::PAGE;

/// Bytes of the header of a log.
const HEADER: usize = 32;
/// Bytes before each page.
const FRAME_HEADER: usize = 24;
/// Bytes of a page with what is before it.
const FRAME: usize = FRAME_HEADER + PAGE;
/// What a log begins with; the last bit says in which order the bytes of its checksums are.
const MAGIC: u32 = 0x377f_0682;

/// The sums of two words each.
type Sums = (u32, u32);

struct Log<'a> {
    file: &'a File,
    header: [u8; HEADER],
    frames: u64,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    u32::from_be_bytes(word.unwrap_or_default())
}

fn at(frame: u64) -> u64 {
    HEADER as u64 + frame * FRAME as u64
}

impl<'a> Log<'a> {
    /// `None` if it is no log of a catalog.
    fn of(file: &'a File) -> io::Result<Option<Self>> {
        let bytes = file.metadata()?.len();
        let mut header = [0; HEADER];
        if bytes < at(1) {
            return Ok(None);
        }
        file.read_exact_at(&mut header, 0)?;
        let is_log = word(&header, 0) & !1 == MAGIC && word(&header, 8) as usize == PAGE;
        Ok(is_log.then_some(Self {
            file,
            header,
            frames: (bytes - HEADER as u64) / FRAME as u64,
        }))
    }

    /// Whether a page belongs to what was written since the log was begun.
    fn is_own(&self, frame: &[u8]) -> bool {
        frame[8..16] == self.header[16..24] && word(frame, 0) != 0
    }

    /// Pages up to the last that ends a transaction.
    fn ended(&self) -> io::Result<u64> {
        let mut ended = 0;
        let mut start = [0; FRAME_HEADER];
        for frame in 0..self.frames {
            self.file.read_exact_at(&mut start, at(frame))?;
            if self.is_own(&start) && word(&start, 4) != 0 {
                ended = frame + 1;
            }
        }
        Ok(ended)
    }

    fn sums(&self, (mut one, mut two): Sums, bytes: &[u8]) -> Sums {
        let is_big = word(&self.header, 0) & 1 == 1;
        let word = |bytes: &[u8], at| match is_big {
            true => word(bytes, at),
            false => word(bytes, at).swap_bytes(),
        };
        for pair in bytes.chunks_exact(8) {
            one = one.wrapping_add(word(pair, 0)).wrapping_add(two);
            two = two.wrapping_add(word(pair, 4)).wrapping_add(one);
        }
        (one, two)
    }

    fn sums_of_frame(&self, before: Sums, frame: &[u8]) -> Sums {
        let before = self.sums(before, &frame[..8]);
        self.sums(before, &frame[FRAME_HEADER..])
    }
}

/// Whether a log has changes behind a page whose checksum does not fit.
pub(super) fn is_torn(file: &File) -> io::Result<bool> {
    let Some(log) = Log::of(file)? else {
        return Ok(false);
    };
    let ended = log.ended()?;
    let mut sums = log.sums((0, 0), &log.header[..24]);
    let mut is_whole = sums == (word(&log.header, 24), word(&log.header, 28));
    let mut frame = vec![0; FRAME];
    for number in 0..ended {
        file.read_exact_at(&mut frame, at(number))?;
        sums = log.sums_of_frame(sums, &frame);
        is_whole &= log.is_own(&frame) && sums == (word(&frame, 16), word(&frame, 20));
        if !is_whole {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Gives the pages of a private copy of a log checksums that fit. One of which not even the number
/// can be read becomes the same as the next, which takes its place.
pub(super) fn mend(file: &File) -> io::Result<()> {
    let Some(mut log) = Log::of(file)? else {
        return Ok(());
    };
    let ended = log.ended()?;
    let mut sums = log.sums((0, 0), &log.header[..24]);
    put(&mut log.header[24..], sums);
    file.write_all_at(&log.header, 0)?;
    let mut frame = vec![0; FRAME];
    for number in 0..ended {
        file.read_exact_at(&mut frame, at(number))?;
        let mut next = number;
        while !log.is_own(&frame) {
            // The last one is its own, so this ends.
            next += 1;
            file.read_exact_at(&mut frame, at(next))?;
        }
        if next > number {
            frame[4..8].fill(0);
        }
        sums = log.sums_of_frame(sums, &frame);
        put(&mut frame[16..], sums);
        file.write_all_at(&frame, at(number))?;
    }
    Ok(())
}

fn put(to: &mut [u8], (one, two): Sums) {
    to[..4].copy_from_slice(&one.to_be_bytes());
    to[4..8].copy_from_slice(&two.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// A database whose log has a table of so many changes, as a killed process leaves it.
    fn killed(folder: &std::path::Path, changes: i64) -> std::path::PathBuf {
        let path = folder.join("live");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
                 CREATE TABLE t (n INTEGER PRIMARY KEY, filler BLOB)",
            )
            .unwrap();
        for n in 0..changes {
            connection
                .execute("INSERT INTO t VALUES (?1, randomblob(3000))", [n])
                .unwrap();
        }
        let copy = folder.join("killed");
        std::fs::copy(&path, &copy).unwrap();
        std::fs::copy(folder.join("live-wal"), folder.join("killed-wal")).unwrap();
        copy
    }

    fn log_of(path: &std::path::Path) -> File {
        let path = format!("{}-wal", path.display());
        File::options().read(true).write(true).open(path).unwrap()
    }

    /// Rows that can be read, one by one: that of the damaged page is lost.
    fn rows(path: &std::path::Path) -> usize {
        let connection = Connection::open(path).unwrap();
        let is_there = |n: &i64| {
            let sql = "SELECT n FROM t WHERE n = ?1";
            connection
                .query_row(sql, [n], |row| row.get::<_, i64>(0))
                .is_ok()
        };
        (0..30).filter(is_there).count()
    }

    #[test]
    fn changes_behind_a_damaged_page_are_read_again() {
        // In a page, and in what is before it.
        for offset in [FRAME_HEADER as u64 + 3000, 8] {
            let folder = tempfile::tempdir().unwrap();
            let path = killed(folder.path(), 30);
            let log = log_of(&path);
            assert!(!is_torn(&log).unwrap());
            let middle = log.metadata().unwrap().len() / FRAME as u64 / 2;
            log.write_all_at(b"damaged!", at(middle) + offset).unwrap();
            assert!(is_torn(&log).unwrap());
            mend(&log).unwrap();
            assert!(!is_torn(&log).unwrap());
            let found = rows(&path);
            assert!((28..=30).contains(&found), "{offset}: {found}");
        }
    }

    #[test]
    fn a_log_that_was_cut_off_is_not_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = killed(folder.path(), 30);
        let log = log_of(&path);
        log.set_len(log.metadata().unwrap().len() - 5000).unwrap();
        assert!(!is_torn(&log).unwrap());
        mend(&log).unwrap();
        assert!(rows(&path) >= 28);
    }
}
