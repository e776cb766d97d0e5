//! A base directory, the program, and transcripts of what it says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_dalsegno");

/// A temporary folder with a base directory `base` in it.
pub(crate) struct World {
    root: TempDir,
    /// The folder, without symbolic links on its path.
    pub(crate) dir: PathBuf,
    /// The base directory.
    pub(crate) base: PathBuf,
}

/// Arrays of the run `mito`, relative to its folder.
const ARRAYS: [&str; 11] = [
    "validation.zarr/1000/crop1/prediction",
    "validation.zarr/1000/crop1/output/threshold_127",
    "validation.zarr/1000/crop2/prediction",
    "validation.zarr/1000/crop2/output/threshold_127",
    "validation.zarr/9000/crop1/prediction",
    "validation.zarr/9000/crop1/output/threshold_127",
    "validation.zarr/9000/crop2/prediction",
    "validation.zarr/inputs/crop1/raw",
    "validation.zarr/inputs/crop1/gt",
    "snapshot.zarr/volumes/raw",
    "extra.zarr/mesh",
];

impl World {
    /// An empty base directory.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().canonicalize().unwrap();
        let base = dir.join("base");
        fs::create_dir(&base).unwrap();
        Self { root, dir, base }
    }

    /// A base directory with two runs, not taken in.
    pub(crate) fn runs() -> Self {
        let world = Self::new();
        for array in ARRAYS {
            world.write_array(&format!("mito/{array}"));
        }
        world.write_array("er/validation.zarr/500/crop1/prediction");
        world
    }

    /// A base directory with two runs, taken in.
    pub(crate) fn scanned() -> Self {
        let world = Self::runs();
        for call in ["init --here --quiet", "scan --quiet"] {
            assert_eq!(world.transcript(call), format!("$ dalsegno {call}\n"));
        }
        world
    }

    /// Writes an array of two files and 60 bytes.
    pub(crate) fn write_array(&self, path: &str) {
        let folder = self.base.join(path);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("0.0"), [7; 4]).unwrap();
        let metadata = br#"{"zarr_format":2,"shape":[2,2],"chunks":[2,2],"dtype":"|u1"}"#;
        fs::write(folder.join(".zarray"), metadata).unwrap();
    }

    /// The program, to be run in the base directory, in an environment of its own.
    pub(crate) fn program(&self) -> Command {
        self.program_at(Path::new(PROGRAM))
    }

    fn program_at(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.base)
            .env_clear()
            .env("HOME", &self.dir)
            .env("TMPDIR", &self.dir)
            .env("TZ", "Asia/Tokyo")
            .stdin(Stdio::null());
        command
    }

    /// The program, run by a user whom the modes of folders and files bind: if the tests run as
    /// root, that is a user without any rights.
    pub(crate) fn program_of_a_stranger(&self) -> Command {
        use std::os::unix::fs::PermissionsExt;
        use std::os::unix::process::CommandExt;
        if !rustix::process::geteuid().is_root() {
            return self.program();
        }
        // The program itself may lie in a folder of root's.
        let copy = self.dir.join("dalsegno");
        if !copy.exists() {
            // By another process: while this one has it open for writing, a child that another
            // test starts has it open too, and then it cannot be run.
            let copied = Command::new("cp").arg(PROGRAM).arg(&copy).status();
            assert!(copied.unwrap().success());
            fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut command = self.program_at(&copy);
        command.uid(65534).gid(65534);
        command
    }

    /// Runs lines of arguments and gives what a person would see, with paths, times and numbers
    /// that change from run to run replaced.
    pub(crate) fn transcript(&self, lines: &str) -> String {
        let calls = lines.lines().map(str::trim).filter(|line| !line.is_empty());
        calls
            .map(|line| self.say(line, &mut self.call(line)))
            .collect()
    }

    /// The program with a line of arguments.
    pub(crate) fn call(&self, line: &str) -> Command {
        let mut command = self.program();
        command.args(words(line));
        command
    }

    /// Runs a command and describes it as in [`World::transcript`].
    pub(crate) fn say(&self, line: &str, command: &mut Command) -> String {
        let output = command.output().unwrap();
        let mut text = format!("$ dalsegno {line}\n");
        for (name, stream) in [("out", &output.stdout), ("err", &output.stderr)] {
            let stream = String::from_utf8(stream.clone()).unwrap();
            let ended = stream.is_empty() || stream.ends_with('\n');
            for line in stream.lines() {
                text.push_str(format!("{name}| {line}").trim_end());
                text.push('\n');
            }
            if !ended {
                text.push_str("(no end of line)\n");
            }
        }
        match output.status.code() {
            Some(0) => {}
            Some(code) => text.push_str(&format!("exit {code}\n")),
            None => text.push_str(&format!("{}\n", output.status)),
        }
        self.hide(&text)
    }

    /// Replaces the folders of this world.
    pub(crate) fn hide(&self, text: &str) -> String {
        text.replace(self.base.to_str().unwrap(), "[BASE]")
            .replace(self.dir.to_str().unwrap(), "[DIR]")
            .replace(self.root.path().to_str().unwrap(), "[DIR]")
    }

    /// Everything below the base directory with what is in it; SQLite's index of a WAL and an
    /// empty WAL, which reading alone makes, and the files of locks are left out. In place of the
    /// bytes of a catalog are its rows, without the file that the metadata of an array was last
    /// read from: any look notes that as soon as the file is some seconds old, and a slow machine
    /// lets it be.
    pub(crate) fn tree(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut tree = Vec::new();
        let mut folders = vec![self.base.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let kind = path.symlink_metadata().unwrap().file_type();
                let name = path.to_str().unwrap();
                let volatile = [".queue", ".turn", "-shm", "-wal"];
                if volatile.iter().any(|end| name.ends_with(end)) {
                    continue;
                }
                if kind.is_dir() {
                    folders.push(path.clone());
                    tree.push((path, Vec::new()));
                } else if kind.is_symlink() {
                    let target = fs::read_link(&path).unwrap();
                    tree.push((path, target.into_os_string().into_encoded_bytes()));
                } else {
                    let content = match name.ends_with("catalog.sqlite3") {
                        true => rows(&path),
                        false => None,
                    };
                    let content = content.unwrap_or_else(|| fs::read(&path).unwrap());
                    tree.push((path, content));
                }
            }
        }
        tree.sort();
        tree
    }

    /// The catalog file.
    pub(crate) fn catalog(&self) -> PathBuf {
        self.base.join(".dalsegno/catalog.sqlite3")
    }
}

/// The tables of a catalog as text, without what any look may note; `None` if it cannot be read.
fn rows(catalog: &Path) -> Option<Vec<u8>> {
    // A copy, because SQLite makes files beside what it opens.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("catalog.sqlite3");
    fs::copy(catalog, &copy).ok()?;
    let log = catalog.with_file_name("catalog.sqlite3-wal");
    if log.exists() {
        fs::copy(log, folder.path().join("catalog.sqlite3-wal")).ok()?;
    }
    let catalog = rusqlite::Connection::open(copy).ok()?;
    let texts = |sql: &str| -> Option<Vec<Vec<String>>> {
        let mut statement = catalog.prepare(sql).ok()?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let kept = |name: &str| !["metadata_file", "counted"].contains(&name);
        let mut found = statement.query([]).ok()?;
        let mut texts = vec![names.clone()];
        while let Some(row) = found.next().ok()? {
            let cells = names.iter().enumerate().filter(|(_, name)| kept(name));
            let cells = cells.map(|(at, _)| format!("{:?}", row.get_ref(at).unwrap()));
            texts.push(cells.collect());
        }
        Some(texts)
    };
    let mut all = texts("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")?;
    for pragma in ["application_id", "user_version"] {
        all.extend(texts(&format!("PRAGMA {pragma}"))?);
    }
    let mut statement = catalog
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .ok()?;
    let tables = statement
        .query_map([], |row| row.get::<_, String>(0))
        .ok()?;
    for table in tables {
        all.extend(texts(&format!("SELECT * FROM \"{}\"", table.ok()?))?);
    }
    Some(format!("{all:#?}").into_bytes())
}

#[test]
fn a_tree_is_the_same_after_what_any_look_notes() {
    let world = World::scanned();
    let before = world.tree();
    let change = |sql: &str| {
        let catalog = rusqlite::Connection::open(world.catalog()).unwrap();
        assert!(catalog.execute(sql, []).unwrap() > 0, "{sql}");
    };
    change("UPDATE artifact SET metadata_file = 7, counted = 8");
    assert!(world.tree() == before);
    change("UPDATE artifact SET bytes = 7");
    assert!(world.tree() != before);
}

/// Splits a line as a shell does; only single quotes are known.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// stdout of a command that is expected to succeed and to say nothing else.
pub(crate) fn stdout(command: &mut Command) -> String {
    let output: Output = command.output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Compares a transcript with the snapshot of this name.
#[macro_export]
macro_rules! assert_transcript {
    ($name:expr, $text:expr) => {
        insta::with_settings!({
            filters => vec![
                (r"\b\d{8}-\d{6}-[0-9a-f]{6}\b", "[REMOVAL]"),
                (r"\b\d{8}T\d{6}Z\.sqlite3", "[BACKUP]"),
                (r"(?m)^(out\| owner +)\S+$", "$1[USER]"),
                (r"\b[0-9a-f]{64}\b", "[HASH]"),
                (r"WHO +ACTION", "WHO  ACTION"),
                (r"(?m)^(out\|.* )[^ @]+@[^ @]+ +(record|scan|refresh|seal|remove|restore|purge|recover|pin|unpin|score|unscore|rebuild) ", "$1[WHO]  $2 "),
                (r"\b(by +|who +)[^ @]+@[^ @,]+", "$1[WHO]"),
                (r"(?m)(  (?:scan|refresh) +\d+  )\S+ and", "$1[PATH] and"),
                (r"(?m)^out\| artifact \d+ +", "out| artifact [ID] "),
                (r"- owner \d+", "- owner [USER]"),
                (r#""owner": ?\d+"#, r#""owner":[USER]"#),
                (r"(?m),(scanned|recorded),\d+$", ",$1,[USER]"),
                (r",\d+\.\d+\.\d+[^,]*,", ",[VERSION],"),
                (r"command     \S*dalsegno", "command     dalsegno"),
                (r#""command": ?"[^" ]*dalsegno"#, r#""command":"dalsegno"#),
                (r"(?m)^(out\| \d+,[^,]+,[a-z]+),[^,]+,[^,]+,\d+,[^ ]*dalsegno", "$1,[WHO],[WHO],[PID],dalsegno"),
                // Blocks differ from file system to file system.
                (r#"("disk_bytes": ?)\d+"#, "$1[DISK]"),
                (r"(disk_bytes |on disk {5})\d[\d.]*( [KM]iB| B)?", "$1[DISK]"),
                (
                    r"\t(present|missing|damaged)\t(\d+)\t(\d+)\t\d+\t",
                    "\t$1\t$2\t$3\t[DISK]\t",
                ),
                (r", \d[\d.]* (B|[KMG]iB) on disk", ", [DISK] on disk"),
                (r"SIZE +ON DISK", "SIZE  ON DISK"),
                (
                    r"(?m)^((?:out\|)? *(?:[\d.]+ (?:B|[KM]iB)|\?|-)) +(?:[\d.]+ (?:B|[KM]iB)|\?|-)( +\S)",
                    "$1  [DISK]$2",
                ),
                (
                    r"(\t\d+\t\d+)\t\d+(\t\d+\t(?:present|trash|other)\t)",
                    "$1\t[DISK]$2",
                ),
                (r"\.(damaged|aside)-\d{8}T\d{6}Z(-\d+)?", ".$1-[TIME]"),
                (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d\.\d{3}Z)?", "[TIME]"),
                (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[REGISTRY]"),
                (r"(?m)^out\| \d+\t", "out| [ID]\t"),
                (r#""id": ?\d+"#, r#""id":[ID]"#),
                (r"out\| id          \d+", "out| id          [ID]"),
                (r"pid \d+( \(.*\))?", "pid [PID]"),
                (r"dalsegno \d+\.\d+\.\d+[^\s\]]*", "dalsegno [VERSION]"),
                (r#""(user|host)": ?"[^"]*""#, r#""$1":"[WHO]""#),
                (r#""pid": ?\d+"#, r#""pid":[PID]"#),
                (r"(?m)^(out\| \[REMOVAL\]\t\[TIME\])\t[^\t]+\t[^\t]+\t\d+", "$1\t[WHO]\t[WHO]\t[PID]"),
                (r"(?m)^(out\| version) .*", "$1 [HERE]"),
                (r#""version": ?"[^"]*""#, r#""version":[HERE]"#),
                (r"BY +PURGE AFTER", "BY  PURGE AFTER"),
                (r"(?m)^(out\| \[REMOVAL\]  .*(?: \d+|\?| -| [KMG]?i?B))  [^ ]+ +(\[TIME\]|emptied|- )", "$1  [WHO]  $2"),
                (r"dalsegno-demo-\w+", "dalsegno-demo-[NAME]"),
            ],
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!($name, $text);
        });
    };
}
