//! Metadata files that were read before: a scan reads only those that changed.
//!
//! Of each file that was read a row keeps its [`Fingerprint`]. It is made of what identifies the
//! file as it was (inode, size, times of content and inode), and of what the row says of its
//! content. A file that was changed, exchanged or dated back has another change time or another
//! inode; a row that was changed by anything but a look at the file says something else. Either
//! fits no more, and the file is read.
//!
//! A file that changed just before it was read may change once more within the same tick of the
//! clock, and then looks the same: it gets no fingerprint, and is read again the next time.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::model::array::{ArrayMetadata, MetadataText, half_hash};
use crate::model::artifact::ArtifactId;
use crate::model::clock::Timestamp;

/// Goes into every fingerprint. To be raised if more is read of metadata than before, or another
/// key of a path, so that all files are read once more.
const READER: u64 = 1;

/// Arrays that are known by their fingerprints during a scan; of more, metadata is read. One takes
/// 40 bytes, so a million take 40 MB and this many 168 MB.
pub(crate) const MOST_KNOWN: usize = 1 << 22;

/// Age of a change from which on another one has another time, if this host dates files.
const SETTLED: Duration = Duration::from_secs(2);
/// The same if a server dates them, whose clock may be behind.
const SETTLED_ON_SERVER: Duration = Duration::from_secs(60);

/// Says which metadata file was read, and what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(pub(crate) i64);

/// A file as it was at a moment: inode, size, seconds and nanoseconds of its last change and of the
/// last change of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FileVersion(pub(crate) [i64; 6]);

/// What metadata files say of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) metadata: Arc<ArrayMetadata>,
    /// Iterations that the array says it holds.
    pub(crate) iterations: Vec<i64>,
    digest: [u8; 16],
}

impl Said {
    pub(crate) fn new(metadata: Arc<ArrayMetadata>, iterations: Vec<i64>) -> Self {
        let mut digest = MetadataText::of(&metadata).digest();
        if !iterations.is_empty() {
            let numbers = iterations.iter().flat_map(|number| number.to_le_bytes());
            let bytes: Vec<u8> = digest.into_iter().chain(numbers).collect();
            digest = half_hash(&bytes);
        }
        Self {
            metadata,
            iterations,
            digest,
        }
    }

    /// The fingerprint of the files that say this. `format`: a number for the format of the first.
    pub(crate) fn fingerprint(&self, format: u8, files: [FileVersion; 2]) -> Fingerprint {
        // 121 bytes, which are two blocks of the hash, fed at once: a scan does this for each array.
        let mut bytes = Vec::with_capacity(128);
        bytes.extend(self.digest);
        bytes.extend(READER.to_le_bytes());
        bytes.push(format);
        bytes.extend(
            files
                .iter()
                .flat_map(|file| file.0)
                .flat_map(i64::to_le_bytes),
        );
        let mut number = [0; 8];
        number.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..8]);
        Fingerprint(i64::from_le_bytes(number))
    }
}

/// A row whose metadata file is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownArray {
    pub(crate) row: ArtifactId,
    /// When the metadata was last written, by the row.
    pub(crate) written_at: Timestamp,
    pub(crate) fingerprint: Fingerprint,
    /// Place of what the row says, as [`KnownArrays::say`] gave it.
    pub(crate) said: u32,
}

/// Arrays whose metadata was read before, by their paths.
#[derive(Debug, Default)]
pub(crate) struct KnownArrays {
    /// With the hash of the path; sorted by it once all are there.
    arrays: Vec<(u64, KnownArray)>,
    /// The arrays of a run mostly say the same.
    said: Vec<Said>,
    /// Keyed at random: a path that was chosen to have the hash of another is read in vain.
    hasher: RandomState,
}

impl KnownArrays {
    /// Notes what metadata says, for [`KnownArrays::add`]. `None` if there is no room.
    pub(crate) fn say(&mut self, said: Said) -> Option<u32> {
        let number = u32::try_from(self.said.len()).ok()?;
        self.said.push(said);
        Some(number)
    }

    /// Adds an array; says whether there is room for more.
    pub(crate) fn add(&mut self, path: &str, array: KnownArray) -> bool {
        let hash = self.hash(path);
        self.arrays.push((hash, array));
        self.arrays.len() < MOST_KNOWN
    }

    /// Ends adding.
    pub(crate) fn sort(&mut self) {
        self.arrays.sort_unstable_by_key(|(hash, ..)| *hash);
    }

    /// What is known of the array at a path relative to the base directory.
    pub(crate) fn at(&self, path: &Path) -> Option<(KnownArray, &Said)> {
        // Most folders of a tree that is new are not asked for.
        if self.arrays.is_empty() {
            return None;
        }
        let hash = self.hash(path.to_str()?);
        let found = self.arrays.binary_search_by_key(&hash, |(hash, ..)| *hash);
        let (_, array) = self.arrays.get(found.ok()?)?;
        let said = self.said.get(usize::try_from(array.said).ok()?)?;
        Some((*array, said))
    }

    fn hash(&self, path: &str) -> u64 {
        self.hasher.hash_one(path)
    }
}

/// Whether a file that changed at `changed`, and was read after `now`, has another change time if
/// it changes again. `is_local`: whether this host dates files.
pub(crate) fn is_settled(changed: Timestamp, now: Timestamp, is_local: bool) -> bool {
    let least = match is_local {
        true => SETTLED,
        false => SETTLED_ON_SERVER,
    };
    // A time in the future has no age: a clock was set back.
    changed.age_at(now).is_some_and(|age| age > least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_settled_once_its_change_is_older_than_the_clock_is_fine() {
        let now = Timestamp(1_700_000_000_000);
        let ages = [
            (-3_600_000, false, false),
            (-1, false, false),
            (0, false, false),
            (2_000, false, false),
            (2_001, true, false),
            (60_000, true, false),
            (60_001, true, true),
        ];
        for (age, here, on_server) in ages {
            let changed = Timestamp(now.0 - age);
            let settled = [true, false].map(|is_local| is_settled(changed, now, is_local));
            assert_eq!(settled, [here, on_server], "{age} ms");
        }
    }

    #[test]
    fn a_fingerprint_is_that_of_one_file_and_what_it_said() {
        let said = |shape: u64, iterations: &[i64]| {
            let metadata = ArrayMetadata {
                shape: Some(vec![shape]),
                ..ArrayMetadata::default()
            };
            Said::new(Arc::new(metadata), iterations.to_vec())
        };
        let files = [FileVersion([1, 2, 3, 4, 5, 6]), FileVersion::default()];
        let mut all = vec![
            said(1, &[]).fingerprint(0, files),
            said(2, &[]).fingerprint(0, files),
            said(1, &[7]).fingerprint(0, files),
            said(1, &[]).fingerprint(1, files),
            said(1, &[]).fingerprint(0, [files[0]; 2]),
        ];
        for field in 0..6 {
            let mut other = files;
            other[0].0[field] += 1;
            all.push(said(1, &[]).fingerprint(0, other));
        }
        assert_eq!(said(1, &[]).fingerprint(0, files), all[0]);
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn arrays_are_found_by_their_paths() {
        let mut known = KnownArrays::default();
        assert_eq!(known.at(Path::new("a")), None);
        let said = known.say(Said::new(Arc::default(), Vec::new())).unwrap();
        for number in 0..100 {
            let array = KnownArray {
                row: ArtifactId(number),
                written_at: Timestamp(number),
                fingerprint: Fingerprint(number),
                said,
            };
            assert!(known.add(&format!("r/{number}"), array));
        }
        known.sort();
        for number in 0..100 {
            let path = format!("r/{number}");
            let (found, _) = known.at(Path::new(&path)).unwrap();
            assert_eq!(found.fingerprint, Fingerprint(number));
            assert_eq!(found.row, ArtifactId(number));
        }
        assert_eq!(known.at(Path::new("r/100")), None);
    }
}
