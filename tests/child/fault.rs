//! Children whose system calls are watched, killed or made to fail, by strace that joins them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::child::command;

/// Calls that change something on disk, or a lock. A `?` is for machines that lack a call.
pub(crate) const CHANGES: &str = "openat,write,pwrite64,fsync,fdatasync,syncfs,?rename,\
                                  ?renameat,renameat2,?mkdir,mkdirat,?unlink,unlinkat,?rmdir,\
                                  ?link,linkat,ftruncate,fallocate,fchmod,fchown,fcntl,flock,\
                                  close";

/// A child under strace: what it said after `ready`, and the rest of its output.
pub(crate) struct Traced {
    pub(crate) said: Vec<String>,
    pub(crate) stderr: String,
}

/// Runs a child with strace's options `expression` from the moment that it is ready. `None` if
/// strace could not join it.
pub(crate) fn trace(action: &str, base: &Path, expression: &str, output: &Path) -> Option<Traced> {
    let mut process = command(&[], action, base)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(stdout.any(|line| line.unwrap() == "@ready"));
    let mut strace = Command::new("strace")
        .args([
            "-f",
            "-p",
            &process.id().to_string(),
            "-e",
            expression,
            "-o",
        ])
        .arg(output)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut messages = BufReader::new(strace.stderr.take().unwrap()).lines();
    let has_joined = messages.any(|line| line.unwrap().contains("attached"));
    drop(process.stdin.take());
    let said = stdout
        .filter_map(|line| line.unwrap().strip_prefix('@').map(str::to_owned))
        .collect();
    let mut stderr = String::new();
    process
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    process.wait().unwrap();
    messages.for_each(drop);
    strace.wait().unwrap();
    has_joined.then_some(Traced { said, stderr })
}

/// The calls of a trace in their order, each with its number in its thread. The child's own words,
/// to file descriptor 1, are counted and left out.
pub(crate) fn in_order(trace: &str) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let Some((name, arguments)) = rest.trim_start().split_once('(') else {
            continue;
        };
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            continue;
        }
        let count = counts.entry((thread, name)).or_default();
        *count += 1;
        if !(name == "write" && arguments.starts_with("1, ")) {
            calls.push((name.to_owned(), *count));
        }
    }
    calls
}

/// The calls of a trace: each name with its numbers, from 1 to the most that one thread makes.
pub(crate) fn calls(trace: &str) -> BTreeSet<(String, usize)> {
    in_order(trace).into_iter().collect()
}

/// Copies a folder with everything in it. The reserve of a catalog, which is never read, gets
/// its length only.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else if from.extension().is_some_and(|end| end == "reserve") {
            let reserve = fs::File::create(&to).unwrap();
            reserve.set_len(from.metadata().unwrap().len()).unwrap();
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
    fs::set_permissions(to, from.metadata().unwrap().permissions()).unwrap();
}

/// Environment variable with a number: of the calls that are not renames, a sweep takes one in so
/// many. Without it, every call. `tests/all.sh` sets it for its short form.
pub(crate) const ONE_IN: &str = "DALSEGNO_ONE_IN";

/// Whether a sweep takes a call: every rename, and the sample of the rest.
pub(crate) fn is_in_sample(call: &str, number: usize) -> bool {
    let one_in = std::env::var(ONE_IN).map_or(1, |text| text.parse().unwrap());
    matches!(call, "renameat" | "renameat2" | "linkat") || number % one_in == 1 % one_in
}
