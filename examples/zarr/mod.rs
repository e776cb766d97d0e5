//! A stand-in for the library that writes your arrays: the smallest valid zarr array.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Writes an array of 16 bytes in two chunks, dated some days back.
///
/// Retention never removes what was written within the last hour, so an example that shows it needs
/// arrays with a past.
pub(crate) fn write(path: &Path, days_old: u64) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::write(path.join("0"), [1; 8])?;
    fs::write(path.join("1"), [2; 8])?;
    // The metadata comes last: an array counts as written once it has metadata.
    let mut metadata = fs::File::create(path.join(".zarray"))?;
    metadata.write_all(
        br#"{"zarr_format": 2, "shape": [16], "chunks": [8], "dtype": "|u1", "order": "C",
             "fill_value": 0, "compressor": null, "filters": null}"#,
    )?;
    let written = SystemTime::now() - Duration::from_secs(days_old * 24 * 60 * 60);
    for name in ["0", "1", ".zarray", "."] {
        fs::File::open(path.join(name))?.set_modified(written)?;
    }
    Ok(())
}
