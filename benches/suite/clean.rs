//! What an interrupted run left in the data folder.

use std::path::Path;

use crate::measure::Result;

/// Folders of single benchmarks; catalogs stay.
const FOLDERS: [&str; 9] = [
    "record-",
    "bytes-",
    "contention-",
    "scan-",
    "remove-",
    "purge-",
    "latency-",
    "dacapo-",
    "mount-",
];

/// How folders in memory, outside of the data folder, begin.
pub(crate) const IN_MEMORY: &str = "dalsegno-bench-";

/// Unmounts and removes what earlier runs did not come to remove.
pub(crate) fn leftovers(data: &Path) -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
        if Path::new(mount).starts_with(data) {
            let _ = std::process::Command::new("umount").arg(mount).status();
        }
    }
    sweep(data, &FOLDERS)?;
    // Those of another user, who may be measuring on this machine too, stay.
    let _ = sweep(Path::new("/dev/shm"), &[IN_MEMORY]);
    Ok(())
}

fn sweep(folder: &Path, prefixes: &[&str]) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
