//! The program, the machine, the user, the environment.

use std::collections::BTreeMap;

use rustix::process::{Resource, getegid, geteuid, getrlimit};
use rustix::system::uname;
use serde::Serialize;

use crate::catalog::CatalogHealth;
use crate::store;

/// Variables that change what the program does or how it prints.
const VARIABLES: [&str; 5] = [
    "DALSEGNO_BASE",
    "DALSEGNO_CATALOG",
    "TERM",
    "LANG",
    "NO_COLOR",
];

#[derive(Serialize)]
pub(super) struct Program {
    version: &'static str,
    target: String,
    profile: &'static str,
    features: Vec<&'static str>,
    sqlite: &'static str,
    sqlite_options: Vec<String>,
}

impl Program {
    pub(super) fn of_this() -> Self {
        use std::env::consts::{ARCH, OS};
        let library = if cfg!(target_env = "musl") {
            "-musl"
        } else if cfg!(target_env = "gnu") {
            "-gnu"
        } else {
            ""
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            target: format!("{ARCH}-{OS}{library}"),
            profile: match cfg!(debug_assertions) {
                true => "debug",
                false => "release",
            },
            features: vec!["cli"],
            sqlite: CatalogHealth::sqlite_version(),
            sqlite_options: CatalogHealth::sqlite_options(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Machine {
    system: String,
    kernel: String,
    architecture: String,
    host: String,
    processors: Option<usize>,
}

impl Machine {
    pub(super) fn of_this() -> Self {
        let name = uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Self {
            system: text(name.sysname()),
            kernel: text(name.release()),
            architecture: text(name.machine()),
            host: text(name.nodename()),
            processors: std::thread::available_parallelism().ok().map(Into::into),
        }
    }
}

#[derive(Serialize)]
pub(super) struct User {
    uid: u32,
    gid: u32,
    umask: Option<String>,
    /// Limit of open files, and the highest limit that the user may set; `None` means unlimited.
    open_files: Option<u64>,
    open_files_most: Option<u64>,
}

impl User {
    pub(super) fn of_this() -> Self {
        let limit = getrlimit(Resource::Nofile);
        Self {
            // The effective user, whose rights count when files are opened.
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            umask: store::umask(),
            open_files: limit.current,
            open_files_most: limit.maximum,
        }
    }
}

/// The environment variables that matter, by name. Others that begin with DALSEGNO_ are listed
/// without their value. The rest is left out, because it may be secret.
pub(super) fn environment() -> BTreeMap<String, String> {
    let all = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        if VARIABLES.contains(&name.as_str()) {
            Some((name, value.to_string_lossy().into_owned()))
        } else {
            // Their names only: what a variable of another version holds may be secret.
            let is_like_ours = name.starts_with("DALSEGNO_");
            is_like_ours.then(|| (name, "(set)".to_owned()))
        }
    });
    all.collect()
}
