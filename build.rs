//! Tells the crate the number of its newest migration, and builds it again if `migrations/` gets a
//! file: the macro that embeds the files does not see a new one.

use std::{env, fs, io, path::Path};

/// The number in a name such as `V7__inbox.sql`.
fn version(name: &str) -> Option<i64> {
    let (number, _) = name.strip_prefix('V')?.split_once("__")?;
    number.parse().ok()
}

fn main() -> io::Result<()> {
    let root = env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?;
    let mut newest = 0;
    for entry in fs::read_dir(Path::new(&root).join("migrations"))? {
        let number = version(&entry?.file_name().to_string_lossy());
        newest = newest.max(number.unwrap_or(0));
    }
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rustc-env=DALSEGNO_NEWEST_MIGRATION={newest}");
    Ok(())
}
