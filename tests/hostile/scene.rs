//! A base directory with data, a folder outside it that nothing may touch, and commands that end.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dalsegno::testing::WITHOUT_OPENAT2;
use tempfile::TempDir;

/// No command takes this long, on a slow machine either: one that meets a lock ends by
/// `--lock-timeout`, which is 60 s.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Scene {
    folder: TempDir,
    /// Whether commands open each folder of a path by itself, as without `openat2`.
    pub(crate) is_walked: bool,
    before: Vec<(PathBuf, u32, i64, Vec<u8>)>,
}

/// A user of a test: uid, gid, further groups.
#[derive(Clone, Copy)]
pub(crate) struct User(pub(crate) u32, pub(crate) u32, pub(crate) &'static [u32]);

impl Scene {
    /// Arrays of `run` at iterations 1 to 9, without a registry.
    pub(crate) fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("canary"), "password=secret\n").unwrap();
        // What SQLite would take for the name of a super-journal.
        fs::write(outside.join("canary-mj0123459AB"), "x").unwrap();
        fs::set_permissions(outside.join("canary"), PermissionsExt::from_mode(0o640)).unwrap();
        rusqlite::Connection::open(outside.join("canary.sqlite3"))
            .unwrap()
            .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
            .unwrap();
        let base = folder.path().join("base");
        for iteration in 1..10 {
            let array = base.join(format!("run/validation.zarr/{iteration}/d/prediction"));
            fs::create_dir_all(&array).unwrap();
            fs::write(
                array.join(".zarray"),
                r#"{"chunks":[2],"compressor":null,"dtype":"|u1","fill_value":0,"filters":null,"order":"C","shape":[2],"zarr_format":2}"#,
            )
            .unwrap();
        }
        let mut scene = Self {
            folder,
            is_walked: false,
            before: Vec::new(),
        };
        scene.before = scene.outside_as_it_is();
        scene
    }

    /// The same with a registry that has them all.
    pub(crate) fn new() -> Self {
        let scene = Self::bare();
        scene.succeeds(&["init", "--here"]);
        scene.succeeds(&["scan"]);
        scene
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.folder.path().join("base")
    }

    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.folder.path().join("outside").join(name)
    }

    /// A path in `.dalsegno`.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        self.base().join(".dalsegno").join(name)
    }

    fn outside_as_it_is(&self) -> Vec<(PathBuf, u32, i64, Vec<u8>)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.folder.path().join("outside")).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let bytes = if metadata.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            found.push((path, metadata.mode(), metadata.mtime_nsec(), bytes));
        }
        found.sort();
        found
    }

    /// Checks that nothing outside the base directory was made, changed or removed.
    pub(crate) fn outside_is_untouched(&self, after: &str) {
        self.outside_has_only(&[], after);
    }

    /// Checks that nothing outside the base directory was changed or removed, and that nothing was
    /// made there but what has one of these names.
    pub(crate) fn outside_has_only(&self, names: &[&str], after: &str) {
        let mut now = self.outside_as_it_is();
        now.retain(|found| !names.iter().any(|name| found.0.ends_with(name)));
        let paths = |all: &[(PathBuf, u32, i64, Vec<u8>)]| -> Vec<PathBuf> {
            all.iter().map(|found| found.0.clone()).collect()
        };
        assert_eq!(paths(&now), paths(&self.before), "after {after}");
        for (found, before) in now.iter().zip(&self.before) {
            assert!(found == before, "{} after {after}", found.0.display());
        }
    }

    /// Runs a command of this user, which has to end.
    pub(crate) fn run_as(&self, user: Option<User>, umask: u32, arguments: &[&str]) -> Output {
        self.run_bound(user, umask, None, arguments)
    }

    /// Runs a command that is ended by a signal if it makes a file of more than so many bytes.
    pub(crate) fn run_within(&self, bytes: u64, arguments: &[&str]) -> Output {
        self.run_bound(None, 0o022, Some(bytes), arguments)
    }

    fn run_bound(
        &self,
        user: Option<User>,
        umask: u32,
        largest: Option<u64>,
        arguments: &[&str],
    ) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dalsegno"));
        command
            .arg("--base")
            .arg(self.base())
            .args(["--lock-timeout", "5s"])
            .args(arguments)
            .env("HOME", "/nonexistent")
            .envs(self.is_walked.then_some((WITHOUT_OPENAT2, "1")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: plain system calls between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::umask(umask);
                if let Some(bytes) = largest {
                    let limit = libc::rlimit {
                        rlim_cur: bytes,
                        rlim_max: bytes,
                    };
                    if libc::setrlimit(libc::RLIMIT_FSIZE, &limit) != 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                if let Some(User(uid, gid, groups)) = user
                    && (libc::setgroups(groups.len(), groups.as_ptr()) != 0
                        || libc::setgid(gid) != 0
                        || libc::setuid(uid) != 0)
                {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            })
        };
        let mut child = command.spawn().unwrap();
        // Read while it runs: a full pipe would hold it up.
        let stdout = read(child.stdout.take().unwrap());
        let stderr = read(child.stderr.take().unwrap());
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("{arguments:?} does not end");
            }
            std::thread::yield_now();
        };
        Output {
            status,
            stdout: stdout.join().unwrap(),
            stderr: stderr.join().unwrap(),
        }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_as(None, 0o022, arguments)
    }

    /// The calls of a command that open something.
    pub(crate) fn opens(&self, arguments: &[&str]) -> Vec<String> {
        let output = self.folder.path().join("trace");
        let status = Command::new("strace")
            .args([
                "-f",
                "-qq",
                "-s",
                "4096",
                "-e",
                "trace=open,openat,openat2",
                "-o",
            ])
            .arg(&output)
            .arg(env!("CARGO_BIN_EXE_dalsegno"))
            .arg("--base")
            .arg(self.base())
            .args(arguments)
            .env("HOME", "/nonexistent")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.unwrap();
        let text = fs::read_to_string(output).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        text(&output)
    }

    /// Runs a command that fails, and gives what it says.
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", text(&output));
        text(&output)
    }
}

/// Reads a pipe to its end.
fn read(mut pipe: impl std::io::Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// All that a command said.
pub(crate) fn text(output: &Output) -> String {
    let [out, error] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{error}")
}

/// Puts a FIFO at a path.
pub(crate) fn make_fifo(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
}

/// The arguments that remove the prediction of an iteration.
pub(crate) fn rm(iteration: &str) -> Vec<&str> {
    vec!["rm", "--yes", "--run", "run", "--iteration", iteration]
}
