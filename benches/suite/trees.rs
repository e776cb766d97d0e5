//! Trees of files to be walked and removed. Every one is synced before it is used: to unlink what
//! was never written back costs a fraction of what it costs later.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Bench;
use crate::keys::spread;
use crate::measure::Result;
use crate::report;

const METADATA: &str = r#"{
    "chunks": [64, 64, 64], "compressor": null, "dtype": "<f4", "fill_value": 0, "filters": null,
    "order": "C", "shape": [128, 128, 128], "zarr_format": 2
}
"#;
/// The contents of a chunk.
const CHUNK: [u8; 64] = [7; 64];

/// Bytes of an array of this many files.
pub(crate) fn array_bytes(files: usize) -> u64 {
    (METADATA.len() + (files - 1) * CHUNK.len()) as u64
}

fn chunk(path: impl AsRef<Path>) -> Result<()> {
    File::create(path)?.write_all(&CHUNK)?;
    Ok(())
}

/// Makes an array of this many files, its metadata counted.
pub(crate) fn array(folder: &Path, files: usize) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(".zarray"), METADATA)?;
    for index in 1..files {
        chunk(folder.join(format!("0.0.{index}")))?;
    }
    Ok(())
}

/// The shape of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A hundred files in each folder, side by side.
    Wide,
    /// One folder.
    Flat,
    /// A chain of folders with 20 files in each or more.
    Deep,
    /// Three levels of folders with few and with many files, links and empty folders.
    Mixed,
}

impl Shape {
    pub(crate) const ALL: [Self; 4] = [Self::Wide, Self::Flat, Self::Deep, Self::Mixed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wide => "100 a folder",
            Self::Flat => "one flat folder",
            Self::Deep => "a deep chain",
            Self::Mixed => "mixed",
        }
    }

    /// Makes a tree of this many files in a folder, with array metadata at the top.
    pub(crate) fn grow(self, folder: &Path, files: usize) -> Result<()> {
        array(folder, 1)?;
        match self {
            Self::Wide => {
                for index in 0..files / 100 {
                    let inner = folder.join(index.to_string());
                    fs::create_dir(&inner)?;
                    (0..100).try_for_each(|file| chunk(inner.join(file.to_string())))?;
                }
            }
            Self::Flat => {
                (0..files).try_for_each(|file| chunk(folder.join(format!("0.{file}"))))?;
            }
            Self::Deep => {
                // As deep as paths may be long.
                let levels = (files / 20).clamp(1, 1500);
                let mut inner = folder.to_path_buf();
                for _ in 0..levels {
                    inner.push("d");
                    fs::create_dir(&inner)?;
                    (0..files / levels).try_for_each(|file| chunk(inner.join(file.to_string())))?;
                }
            }
            Self::Mixed => mixed(folder, files)?,
        }
        Ok(())
    }
}

fn mixed(folder: &Path, files: usize) -> Result<()> {
    let folders = (files / 50).max(8);
    let mut made = 0;
    for (index, number) in spread(folders, 100).into_iter().enumerate() {
        let inner = folder.join(format!("{}/{}/{index}", index % 7, index % 31));
        fs::create_dir_all(&inner)?;
        // Every tenth folder is empty, every twentieth large.
        let here = match index % 20 {
            0 => number * 10,
            5 | 15 => 0,
            _ => number / 2,
        };
        let here = here.min(files - made);
        (0..here).try_for_each(|file| chunk(inner.join(format!("0.{file}"))))?;
        if here > 2 {
            std::os::unix::fs::symlink("0.0", inner.join("link"))?;
            fs::hard_link(inner.join("0.1"), inner.join("hard"))?;
        }
        made += here;
    }
    (made..files).try_for_each(|file| chunk(folder.join(format!("0.{file}"))))
}

/// Writes everything back that was written on the file system of a path.
pub(crate) fn sync(path: &Path) -> Result<()> {
    rustix::fs::syncfs(File::open(path)?)?;
    Ok(())
}

/// Forgets everything that was read from disks, as after a start of the machine. Says whether that
/// is allowed here.
pub(crate) fn cool() -> bool {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// A file system to measure on. What was mounted for it goes with it.
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// Whether caches can be dropped and mean anything.
    pub(crate) has_cold: bool,
    /// Whether others write to the disk too.
    pub(crate) is_shared: bool,
    mounted: bool,
    _keep: tempfile::TempDir,
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(&self.folder).status();
        }
    }
}

/// A folder in memory; `None` if there is no tmpfs.
pub(crate) fn in_memory(bench: &mut Bench) -> Result<Option<Site>> {
    let shm = Path::new("/dev/shm");
    if report::file_system(shm).as_deref() != Some("tmpfs") {
        bench.note("/dev/shm is not a tmpfs: its rows are left out");
        return Ok(None);
    }
    let keep = tempfile::Builder::new()
        .prefix(crate::clean::IN_MEMORY)
        .tempdir_in(shm)?;
    Ok(Some(Site {
        name: "tmpfs".to_owned(),
        folder: keep.path().to_path_buf(),
        has_cold: false,
        is_shared: false,
        mounted: false,
        _keep: keep,
    }))
}

/// A journaled ext4 in a file; `None` if nothing can be mounted.
pub(crate) fn journaled(bench: &mut Bench) -> Option<Site> {
    let has_cold = can_cool(bench);
    match loop_mount(bench) {
        Ok(mut site) => {
            site.has_cold = has_cold;
            Some(site)
        }
        Err(error) => {
            bench.note(format!(
                "no ext4 could be mounted, its rows are left out: {error}"
            ));
            None
        }
    }
}

/// A folder on the disk of the data folder.
pub(crate) fn on_disk(bench: &mut Bench) -> Result<Site> {
    let keep = bench.folder("purge")?;
    let kind = report::file_system(keep.path()).unwrap_or_else(|| "disk".to_owned());
    Ok(Site {
        name: format!("disk ({kind})"),
        folder: keep.path().to_path_buf(),
        has_cold: can_cool(bench),
        is_shared: true,
        mounted: false,
        _keep: keep,
    })
}

fn can_cool(bench: &mut Bench) -> bool {
    let can = cool();
    if !can {
        bench.note("not root: caches cannot be dropped, so the cold rows are left out");
    }
    can
}

fn loop_mount(bench: &Bench) -> Result<Site> {
    let size = 4 << 30;
    bench.require_space(size / 4)?;
    let keep = bench.folder("mount")?;
    let (image, folder) = (keep.path().join("image"), keep.path().join("root"));
    File::create(&image)?.set_len(size)?;
    fs::create_dir(&folder)?;
    let run = |command: &mut Command| -> Result<()> {
        let output = command.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr)
                .trim()
                .to_owned()
                .into());
        }
        Ok(())
    };
    run(Command::new("mkfs.ext4")
        .args(["-q", "-F", "-N", "400000"])
        .arg(&image))?;
    run(Command::new("mount")
        .args(["-o", "loop"])
        .arg(&image)
        .arg(&folder))?;
    Ok(Site {
        name: "ext4 (loop)".to_owned(),
        folder,
        has_cold: false,
        is_shared: false,
        mounted: true,
        _keep: keep,
    })
}
