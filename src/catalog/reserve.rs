//! The reserve: a file beside the catalog that is given up where a full disk would refuse even a
//! removal, because the WAL must grow. It is made again when there is space.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::Catalog;

/// Bytes of the reserve: room for the WAL of a removal of some thousand artifacts.
const BYTES: usize = 4 << 20;

impl Catalog {
    fn reserve_path(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".reserve");
        name.into()
    }

    /// Makes the reserve where there is none. A disk without room for it has none.
    pub fn keep_reserve(&self) {
        let path = self.reserve_path();
        // One that is too short was cut off by a full disk or a kill.
        let is_whole = |file: std::fs::Metadata| file.len() >= BYTES as u64;
        if self.is_read_only() || path.symlink_metadata().is_ok_and(is_whole) {
            return;
        }
        let Ok(mut file) = File::create(&path) else {
            return;
        };
        // Written, not only sized: blocks that are not there cannot be given back.
        let made = file
            .write_all(&vec![0x5A; BYTES])
            .and_then(|()| file.sync_all());
        if made.is_err() {
            let _ = std::fs::remove_file(&path);
        }
    }

    /// Gives the reserve back to the file system. Says whether there was one.
    pub fn give_up_reserve(&self) -> bool {
        std::fs::remove_file(self.reserve_path()).is_ok()
    }
}
