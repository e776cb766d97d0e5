//! A shell on a terminal, in a fresh folder with the example of the pages in it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::TempDir;

use crate::example;
use crate::shown::Names;

/// Width of the terminal.
const COLUMNS: usize = 100;

pub(crate) struct Session {
    _folder: TempDir,
    /// The folder that is `/` of the page.
    root: PathBuf,
    pub(crate) names: Names,
}

impl Session {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["bin", "data/runs", "local/disk", "home", "tmp", "shell"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_dalsegno"), root.join("bin/dalsegno")).unwrap();
        example::write(&root.join("data/runs"));
        fs::write(root.join("shell/variables"), "").unwrap();
        fs::write(
            root.join("shell/folder"),
            root.join("home").as_os_str().as_bytes(),
        )
        .unwrap();
        let at = |name: &str| root.join(name).into_os_string().into_string().unwrap();
        let folders = vec![
            ("/data/", at("data/")),
            ("/local/disk", at("local/disk")),
            ("/home/anna", at("home")),
        ];
        let names = Names::new(folders, printed_by("id", "-un"), printed_by("uname", "-n"));
        Self {
            _folder: folder,
            root,
            names,
        }
    }

    /// Runs a command of the page and gives what a terminal shows, with the exit code. The next one
    /// finds the variables that it exported, in the folder that it went to.
    pub(crate) fn run(&self, command: &str) -> (String, Option<i32>) {
        let command = command.replace("cargo run --release -- ", "dalsegno ");
        let script = format!(
            ". \"$SHELL_STATE/variables\"\ncd -- \"$(cat \"$SHELL_STATE/folder\")\" || exit\n\
             {}\n\
             code=$?\nexport -p >\"$SHELL_STATE/variables\"\npwd >\"$SHELL_STATE/folder\"\nexit $code",
            self.names.command(&command)
        );
        let mut path = self.root.join("bin").into_os_string();
        path.push(":/usr/local/bin:/usr/bin:/bin");
        let mut bash = Command::new("bash");
        bash.arg("-c")
            .arg(script)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.root.join("home"))
            .env("TMPDIR", self.root.join("tmp"))
            .env("SHELL_STATE", self.root.join("shell"))
            .env("LANG", "C.UTF-8")
            .env("NO_COLOR", "1")
            .env("TERM", "xterm");
        // Tables of the history have a column for user and host: it leaves what the page shows to
        // the others.
        let more = match command.contains("history") {
            true => self.names.longer_than_shown(),
            false => 0,
        };
        on_terminal(bash, COLUMNS + more)
    }

    /// The registry's folder in the base directory of the page.
    pub(crate) fn registry(&self) -> PathBuf {
        self.root.join("data/runs/.dalsegno")
    }
}

fn printed_by(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    match printed.trim() {
        // A user without a name.
        "" => printed_by("id", "-u"),
        name => name.to_owned(),
    }
}

/// Whether a program is installed.
pub(crate) fn is_installed(program: &str) -> bool {
    ["/usr/local/bin", "/usr/bin", "/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists())
}

fn on_terminal(mut command: Command, columns: usize) -> (String, Option<i32>) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: columns.try_into().unwrap(),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&master, size).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(OsStr::from_bytes(name.as_bytes()))
        .unwrap();
    command
        .stdin(Stdio::null())
        .stdout(slave.try_clone().unwrap())
        .stderr(slave);
    let mut child = command.spawn().unwrap();
    // The command keeps the terminal open as long as it lives.
    drop(command);
    let mut written = Vec::new();
    // A terminal that no process has open any more ends with an error.
    let _ = File::from(master).read_to_end(&mut written);
    let code = child.wait().unwrap().code();
    (screen(&String::from_utf8(written).unwrap()), code)
}

/// What is left on the screen: a progress bar of a slow machine is overwritten.
fn screen(written: &str) -> String {
    let mut text = String::new();
    for line in written.replace("\r\n", "\n").split_inclusive('\n') {
        text.push_str(
            line.rsplit(['\r', '\x1b'])
                .next()
                .map_or("", |last| last.strip_prefix("[2K").unwrap_or(last)),
        );
    }
    text
}

#[test]
fn a_progress_bar_is_overwritten() {
    assert_eq!(screen("a\r\n\r  12 arrays\r\x1b[2Kdone\r\n"), "a\ndone\n");
}
