//! How SQLite opens and closes files in a folder where others may exchange them.
//!
//! SQLite opens by path: the catalog, and beside it `-wal`, `-shm` and `-journal`. When the last
//! connection closes, it deletes `-wal` and `-shm` by path too. It gets the path that the open
//! folder of a [`Place`] has now, and refuses a link in any part of it: the last part
//! is opened with `O_NOFOLLOW`, so a link in the place of a file is never followed, whenever it
//! comes. What `O_NOFOLLOW` does not see is looked at before the files are opened, and again when
//! they are open and nothing is written yet: that the folder and the catalog are still the same,
//! and that each file is a regular one and, if it is written, has no second name.
//!
//! Between the two looks, for some microseconds, another user may exchange the folder itself for a
//! link. So all that SQLite does by path is done in a thread that the kernel keeps inside the
//! folder (see [`confined`]). A catalog with a WAL has all its files open from then on; one on a
//! network file system opens its `-journal` at each change, which stays as docs/src/security.md
//! says.

use std::ops::{Deref, DerefMut};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FileType, Stat};

use super::budget::{Budget, bytes_of};
use super::index::HeldIndex;
use super::place::Place;
use super::schema;
use crate::catalog::error::CatalogError;
use crate::disk::{Folder, confined};

/// What SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// An open connection, which is closed in its folder and nowhere else.
pub(in crate::catalog) struct OpenConnection {
    /// `None` once it is being closed.
    connection: Option<Connection>,
    /// `None` if SQLite has no file beside the database, so nothing happens by path.
    folder: Option<Folder>,
    /// Behind the connection: closing it drops the locks of this process on the index.
    index: Option<HeldIndex>,
    budget: Budget,
}

impl OpenConnection {
    /// A connection to a database that has no files beside it in a shared folder.
    pub(super) fn without_files(connection: Connection, budget: Budget) -> Self {
        let connection = Some(connection);
        Self {
            connection,
            folder: None,
            index: None,
            budget,
        }
    }

    /// How much it may do.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Fills the holes of the index of the log, so that no write to it needs room on the disk.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no room now.
    pub(super) fn fill_index(&mut self, place: &Place) -> Result<(), CatalogError> {
        if self.index.is_none() {
            self.index = HeldIndex::fill(place)?;
        }
        Ok(())
    }

    /// Uses it for what opens files by path.
    pub(super) fn confined<T: Send>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> T + Send,
    ) -> T {
        let Self {
            connection, folder, ..
        } = self;
        // A connection may move to another thread, and may not be shared with one.
        let work = move || work(connection.as_mut().expect("only closing takes it"));
        match folder {
            Some(folder) => confined(folder, work),
            None => work(),
        }
    }

    /// Closes it, as [`Connection::close`].
    pub(super) fn close(mut self) -> rusqlite::Result<()> {
        self.end()
    }

    fn end(&mut self) -> rusqlite::Result<()> {
        // After `close`, `drop` comes here again.
        let Some(connection) = self.connection.take() else {
            return Ok(());
        };
        let close = || connection.close().map_err(|(_, error)| error);
        match &self.folder {
            Some(folder) => confined(folder, close),
            None => close(),
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        // A failed checkpoint leaves the log, which the next connection reads.
        let _ = self.end();
    }
}

impl Deref for OpenConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("only closing takes it")
    }
}

impl DerefMut for OpenConnection {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("only closing takes it")
    }
}

/// Opens a database, and does the first thing with it, which is to read: SQLite opens the files
/// beside a database with a WAL at the first read. [`confirm`] is to follow.
///
/// # Errors
/// [`CatalogError::NotAFile`] if one of its files is something else; those of `first`.
pub(super) fn open(
    place: &Place,
    flags: OpenFlags,
    first: impl FnOnce(&Connection) -> Result<(), CatalogError> + Send,
) -> Result<OpenConnection, CatalogError> {
    check_files(place, flags)?;
    let path = place.real_path()?;
    let sql = |error| CatalogError::sql("opening", place.path(), error);
    // A descriptor of its own, for closing: the place may be gone by then.
    let folder = place.folder().try_clone();
    let folder = folder.map_err(|error| CatalogError::io("opening", place.path(), error))?;
    let looked_at = Place::in_folder(place.folder(), place.name())?;
    let (connection, budget) = confined(&folder, || {
        let mut connection =
            Connection::open_with_flags(path, with_defaults(flags)).map_err(sql)?;
        // If it fails, the connection is closed in here, confined as well.
        let budget = guard(&mut connection, move || bytes_of(&looked_at)).map_err(sql)?;
        first(&connection)?;
        Ok::<_, CatalogError>((connection, budget))
    })?;
    Ok(OpenConnection {
        connection: Some(connection),
        folder: Some(folder),
        index: None,
        budget,
    })
}

/// Opens a database as a file that no process changes. SQLite opens nothing beside it.
pub(super) fn open_immutable(place: &Place) -> Result<OpenConnection, CatalogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let uri = immutable_uri(&place.real_path()?);
    let sql = |error| CatalogError::sql("opening", place.path(), error);
    let mut connection = Connection::open_with_flags(uri, with_defaults(flags)).map_err(sql)?;
    let bytes = bytes_of(place);
    let budget = guard(&mut connection, move || bytes).map_err(sql)?;
    Ok(OpenConnection::without_files(connection, budget))
}

/// Bounds what the file behind a connection can make it do: by its schema, and by its pages.
/// `bytes` says how many the catalog has.
pub(super) fn guard(
    connection: &mut Connection,
    bytes: impl Fn() -> u64 + Send + 'static,
) -> rusqlite::Result<Budget> {
    schema::guard(connection)?;
    Budget::of(connection, bytes)
}

fn with_defaults(flags: OpenFlags) -> OpenFlags {
    // NO_MUTEX: only one thread at a time has a connection, so SQLite need not lock it.
    flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW
}

/// Checks that what was opened is what was looked at.
///
/// # Errors
/// [`CatalogError::Replaced`] if another file is in its place, [`CatalogError::NotAFile`] as
/// [`open`].
pub(super) fn confirm(place: &Place, flags: OpenFlags) -> Result<(), CatalogError> {
    use std::os::unix::fs::MetadataExt;
    check_files(place, flags)?;
    let io = |error| CatalogError::io("reading", place.path(), error);
    let held = place.stat("").map_err(io)?;
    // By path, as SQLite found it, to compare with what the open folder has.
    let found = place.real_path()?.symlink_metadata();
    let is_same = |held: Stat| {
        found.is_ok_and(|found| (found.dev(), found.ino()) == (held.st_dev, held.st_ino))
    };
    match held.is_some_and(is_same) {
        true => Ok(()),
        false => Err(CatalogError::Replaced {
            path: place.path().to_owned(),
        }),
    }
}

/// Refuses links, folders, FIFOs and devices in the place of what SQLite opens, and a second name
/// of what it writes.
fn check_files(place: &Place, flags: OpenFlags) -> Result<(), CatalogError> {
    let writes = flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE);
    for suffix in [""].into_iter().chain(BESIDE) {
        let path = || place.path().with_file_name(place.beside(suffix));
        let found = place
            .stat(suffix)
            .map_err(|error| CatalogError::io("reading", &path(), error))?;
        let Some(stat) = found else { continue };
        // Readers write the index of the log too.
        let is_written = writes || suffix == "-shm";
        let found = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if is_written && stat.st_nlink > 1 => "a file with a second name",
            FileType::RegularFile => continue,
            FileType::Symlink => "a symbolic link",
            FileType::Directory => "a folder",
            _ => "a special file",
        };
        return Err(CatalogError::NotAFile {
            path: path(),
            found,
        });
    }
    Ok(())
}

/// `file:` URI of an absolute path; what a URI gives a meaning to is escaped.
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()) {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::mpsc::channel;

    use super::*;
    use crate::disk::can_confine;

    const READ_WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE;

    /// Folders `own` and `other`, each with a catalog that has a WAL.
    fn two_catalogs() -> tempfile::TempDir {
        let base = tempfile::tempdir().unwrap();
        // Others may write there, and exchange its folders.
        fs::set_permissions(base.path(), PermissionsExt::from_mode(0o777)).unwrap();
        for name in ["own", "other"] {
            fs::create_dir(base.path().join(name)).unwrap();
            Connection::open(base.path().join(name).join("catalog"))
                .unwrap()
                .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)")
                .unwrap();
        }
        base
    }

    /// Moves `own` away and puts a link to `other` in its place.
    fn exchange(base: &Path) {
        fs::rename(base.join("own"), base.join("moved")).unwrap();
        symlink(base.join("other"), base.join("own")).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn read(connection: &Connection) -> rusqlite::Result<i64> {
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
    }

    fn read_first(connection: &Connection) -> Result<(), CatalogError> {
        let path = Path::new("catalog");
        let found = read(connection).map_err(|error| CatalogError::sql("reading", path, error));
        found.map(|_| ())
    }

    #[test]
    fn a_folder_that_is_exchanged_before_the_first_read_has_no_log_made_where_it_leads() {
        let base = two_catalogs();
        let place = Place::of(&base.path().join("own/catalog")).unwrap();
        // A thread of its own: what the kernel confines could not exchange anything.
        let (begin, begun) = channel();
        let (end, ended) = channel();
        let path = base.path().to_owned();
        let other = std::thread::spawn(move || {
            begun.recv().unwrap();
            exchange(&path);
            end.send(()).unwrap();
        });
        let opened = open(&place, READ_WRITE, move |connection| {
            begin.send(()).unwrap();
            ended.recv().unwrap();
            read_first(connection)
        });
        other.join().unwrap();
        if can_confine() {
            assert!(opened.is_err());
            assert_eq!(names(&base.path().join("other")), ["catalog"]);
        }
    }

    #[test]
    fn a_folder_that_is_exchanged_before_the_end_has_no_log_deleted_where_it_leads() {
        let base = two_catalogs();
        let place = Place::of(&base.path().join("own/catalog")).unwrap();
        let opened = open(&place, READ_WRITE, read_first).unwrap();
        // SQLite looks whether its database is still at its path: a second name passes for it.
        fs::remove_file(base.path().join("other/catalog")).unwrap();
        fs::hard_link(
            base.path().join("own/catalog"),
            base.path().join("other/catalog"),
        )
        .unwrap();
        exchange(base.path());
        fs::write(base.path().join("other/catalog-wal"), "of others").unwrap();
        drop(opened);
        if can_confine() {
            assert_eq!(
                names(&base.path().join("other")),
                ["catalog", "catalog-wal"]
            );
        }
        // What is left beside the own catalog is taken in by the next that opens it.
        let moved = Connection::open(base.path().join("moved/catalog")).unwrap();
        assert_eq!(read(&moved).unwrap(), 0);
    }

    #[test]
    fn a_log_goes_with_the_last_connection() {
        let base = two_catalogs();
        let place = Place::of(&base.path().join("own/catalog")).unwrap();
        let write = |connection: &Connection| {
            connection
                .execute_batch("INSERT INTO t VALUES (1)")
                .map_err(|error| CatalogError::sql("writing", place.path(), error))
        };
        let opened = open(&place, READ_WRITE, write).unwrap();
        assert_eq!(names(&base.path().join("own")).len(), 3);
        opened.close().unwrap();
        assert_eq!(names(&base.path().join("own")), ["catalog"]);
    }

    #[test]
    fn a_uri_keeps_no_character_that_means_something() {
        assert_eq!(
            immutable_uri(Path::new("/a b/c?d#e%f/ü")),
            "file:/a%20b/c%3Fd%23e%25f/%C3%BC?immutable=1"
        );
    }
}
