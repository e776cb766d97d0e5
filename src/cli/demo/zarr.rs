//! Small real zarr arrays for the demonstration: uncompressed uint8 volumes, zarr v2 and v3.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use serde_json::json;

/// Edge of a volume and of a chunk, in voxels.
const SHAPE: usize = 24;
const CHUNK: usize = 12;

/// Version of the zarr format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ZarrVersion {
    V2,
    V3,
}

/// Writes a volume of SHAPE³ voxels at `path`; `level` moves its threshold, so that volumes
/// differ. Its metadata is dated `written`, which is when an array counts as written.
pub(super) fn write(
    path: &Path,
    version: ZarrVersion,
    level: usize,
    written: SystemTime,
) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let (shape, chunk) = ([SHAPE; 3], [CHUNK; 3]);
    let steps = SHAPE / CHUNK;
    for index in 0..steps * steps * steps {
        let at = [
            index / (steps * steps),
            index / steps % steps,
            index % steps,
        ];
        let bytes = voxels(at.map(|step| step * CHUNK), level);
        let (folder, name) = match version {
            ZarrVersion::V2 => (path.to_owned(), format!("{}.{}.{}", at[0], at[1], at[2])),
            ZarrVersion::V3 => (
                path.join(format!("c/{}/{}", at[0], at[1])),
                format!("{}", at[2]),
            ),
        };
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)?;
    }
    // Metadata last, because an array counts as written once it has metadata.
    let (name, metadata) = match version {
        ZarrVersion::V2 => {
            let metadata = json!({
                "zarr_format": 2, "shape": shape, "chunks": chunk, "dtype": "|u1", "order": "C",
                "fill_value": 0, "compressor": null, "filters": null,
            });
            fs::write(path.join(".zattrs"), "{}")?;
            (".zarray", metadata)
        }
        ZarrVersion::V3 => {
            let metadata = json!({
                "zarr_format": 3, "node_type": "array", "shape": shape, "data_type": "uint8",
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
                "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
                "fill_value": 0, "codecs": [{"name": "bytes"}], "attributes": {},
            });
            ("zarr.json", metadata)
        }
    };
    let mut file = fs::File::create(path.join(name))?;
    write!(file, "{metadata:#}")?;
    date(path, written)
}

/// Dates an array with its chunks and their folders.
fn date(path: &Path, written: SystemTime) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            date(&entry?.path(), written)?;
        }
    }
    // After the entries: creating or dating those would change the folder's own time again.
    fs::File::open(path)?.set_modified(written)
}

/// One chunk of a volume that shows a ball with a soft edge.
fn voxels(from: [usize; 3], level: usize) -> Vec<u8> {
    let middle = SHAPE as f64 / 2.0;
    let mut bytes = Vec::with_capacity(CHUNK * CHUNK * CHUNK);
    for z in 0..CHUNK {
        for y in 0..CHUNK {
            for x in 0..CHUNK {
                // From the middle of a voxel, so that the ball is symmetrical.
                let squares = [from[0] + z, from[1] + y, from[2] + x]
                    .map(|at| (at as f64 + 0.5 - middle).powi(2));
                let distance = squares.iter().sum::<f64>().sqrt();
                // Bright in the middle; each iteration has its own `level`.
                let value = (level as f64 + 8.0 * (middle - distance)).clamp(0.0, 255.0);
                bytes.push(value as u8);
            }
        }
    }
    bytes
}
