//! The rig: a file system on the disk, the workload on it, and the cuts.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::child::{command, say};
use crate::disk::{self, Disk};
use crate::{Protocol, Random, check};

/// Size of the file system.
const SIZE: u64 = 64 << 20;
/// Cuts on one file system, before a fresh one.
const CUTS_PER_DISK: u64 = 10;

fn run(words: &[&str]) -> Result<(), String> {
    let output = Command::new(words[0])
        .args(&words[1..])
        .output()
        .map_err(|error| format!("{}: {error}", words[0]))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", words.join(" "), stderr.trim()))
}

/// Something mounted, until it is dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(options: &[&str], at: &Path) -> Result<Self, String> {
        fs::create_dir_all(at).unwrap();
        let mut words = vec!["mount"];
        words.extend(options);
        words.push(at.to_str().unwrap());
        run(&words)?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let at = self.0.to_str().unwrap();
        if run(&["umount", at]).is_err() {
            let _ = run(&["umount", "-l", at]);
        }
    }
}

fn make_file_system(image: &Path) -> Result<(), String> {
    fs::File::create(image).unwrap().set_len(SIZE).unwrap();
    run(&["mkfs.ext4", "-q", "-F", image.to_str().unwrap()])
}

fn mount_image(image: &Path, at: &Path) -> Result<Mount, String> {
    Mount::new(&["-o", "loop", image.to_str().unwrap()], at)
}

/// Prints `works`, or the step that fails.
pub(crate) fn probe(top: &Path) {
    let works = || {
        disk::open_device().map_err(|error| format!("FUSE: {error}"))?;
        let _memory = Mount::new(&["-t", "tmpfs", "-o", "size=96m", "tmpfs"], top)?;
        let image = top.join("image");
        make_file_system(&image)?;
        let at = top.join("at");
        mount_image(&image, &at).map(drop)
    };
    let said: Result<(), String> = works();
    say(&said.err().unwrap_or_else(|| "works".to_owned()));
}

/// A running workload and its output.
struct Work {
    child: Child,
    lines: Receiver<String>,
    /// Its output so far.
    said: Vec<String>,
}

impl Work {
    fn start(base: &Path, protocol: Protocol, seed: u64) -> Self {
        let name = match protocol {
            Protocol::Registry => "registry",
            Protocol::Careless => "careless",
        };
        let mut child = command(&[], &format!("work {name} {seed}"), base)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout: ChildStdout = child.stdout.take().unwrap();
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(said) = line.strip_prefix('@')
                    && send.send(said.to_owned()).is_err()
                {
                    break;
                }
            }
        });
        Self {
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// Waits for this many more lines that begin with `word`. Returns false if the workload has
    /// ended.
    fn wait_for(&mut self, word: &str, mut count: u64) -> bool {
        while count > 0 {
            let Ok(line) = self.lines.recv() else {
                return false;
            };
            count -= u64::from(line.starts_with(word));
            self.said.push(line);
        }
        true
    }

    /// Every line printed so far.
    fn said(&mut self) -> &[String] {
        self.said.extend(self.lines.try_iter());
        &self.said
    }

    /// Its error, if it ended by itself.
    fn complaint(&mut self) -> Option<String> {
        let status = self.child.try_wait().unwrap()?;
        let mut text = String::new();
        let mut stderr = self.child.stderr.take()?;
        stderr.read_to_string(&mut text).unwrap();
        (!status.success()).then_some(text)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cuts the power this many times; returns what did not hold afterwards.
pub(crate) fn cut_often(top: &Path, protocol: Protocol, cuts: u64, seed: u64) -> Vec<String> {
    let start = Instant::now();
    let size = format!("size={}m", (4 * SIZE) >> 20);
    let _memory = Mount::new(&["-t", "tmpfs", "-o", &size, "tmpfs"], top).unwrap();
    let mut random = Random::new(seed);
    let mut caught = Vec::new();
    let (mut done, mut acknowledged, mut flushes) = (0, 0, 0);
    let mut disks = 0;
    while done < cuts {
        disks += 1;
        let image = top.join("image");
        make_file_system(&image).unwrap();
        let contents = fs::read(&image).unwrap();
        fs::remove_file(&image).unwrap();
        let file = top.join(format!("disk-{disks}"));
        let disk = Disk::serve(contents, &file, seed + disks);
        let live = mount_image(&file, &top.join("live")).unwrap();
        let base = live.0.join("base");
        fs::create_dir(&base).unwrap();
        run(&["sync", "-f", base.to_str().unwrap()]).unwrap();
        let mut work = Work::start(&base, protocol, seed + disks);
        for _ in 0..CUTS_PER_DISK.min(cuts - done) {
            // The moment: after some acknowledgements, and a little later.
            let (word, most) = match protocol {
                Protocol::Registry => ("", 40),
                Protocol::Careless => ("removed", 30),
            };
            let count = 1 + random.below(most);
            if !work.wait_for(word, count) {
                let complaint = work.complaint();
                assert!(complaint.is_none(), "the workload failed: {complaint:?}");
                break;
            }
            if protocol == Protocol::Registry {
                std::thread::sleep(Duration::from_micros(random.below(15_000)));
            }
            let said = work.said().to_vec();
            let after = top.join("after");
            disk.cut(&after);
            done += 1;
            acknowledged += said.len();
            let found = {
                let copy = mount_image(&after, &top.join("copy")).unwrap();
                check::check(&copy.0.join("base"), &said)
            };
            fs::remove_file(&after).unwrap();
            for violation in found {
                caught.push(format!("cut {done} of seed {seed}: {violation}"));
            }
        }
        flushes += disk.flushes();
        drop(work);
        drop(live);
        drop(disk);
        let _ = fs::remove_file(&file);
    }
    assert!(acknowledged > 0 && flushes > 0, "nothing was tested");
    eprintln!(
        "{protocol:?}: {done} power cuts on {disks} disks in {:.1} s, {} acknowledgements and {} \
         flushes each, {} violations",
        start.elapsed().as_secs_f64(),
        acknowledged as u64 / done,
        flushes / done,
        caught.len(),
    );
    caught
}
