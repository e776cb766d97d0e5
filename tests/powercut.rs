//! Power cuts. A workload records, seals, removes and restores on an ext4 file system of its own,
//! and acknowledges each step. At random moments the disk is copied as a power cut would leave it,
//! the copy is mounted and opened, and everything acknowledged by then must hold.
//!
//! The disk is a file that this process serves through FUSE, with a loop device on it. Writes since
//! the last flush are kept apart: a cut keeps some of their 4 KiB blocks and loses others, as a
//! disk with a volatile cache may. Writes still in the kernel are lost anyway. So a cut is one
//! point in the order of the writes, and the workload does not stop for it.
//!
//! The second test is the control: removals by hand, in the same order and without syncs, on the
//! same disk. The checks must fail for it, or they would prove nothing.
//!
//! ```text
//! DALSEGNO_CUTS=200 DALSEGNO_SEED=7 cargo test --test powercut -- --nocapture
//! ```
//!
//! Needs root, `unshare`, `mkfs.ext4`, loop devices and FUSE; if one is missing, the tests say so
//! and are left out. All mounts are in a mount namespace that ends with the test.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests"
)]

#[path = "powercut/check.rs"]
mod check;
#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;
#[path = "powercut/disk.rs"]
mod disk;
#[path = "common/left_out.rs"]
mod left_out;
#[path = "powercut/rig.rs"]
mod rig;
#[path = "powercut/work.rs"]
mod work;

use std::path::{Path, PathBuf};
use std::process::Command;

use child::{answer, command, say};
use left_out::left_out;

const NAMESPACE: [&str; 4] = ["unshare", "--mount", "--propagation", "private"];

/// The body of a child: the rig, in a mount namespace, or the workload, on the rig's disk.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    let base = PathBuf::from(std::env::var_os(child::BASE).unwrap());
    let words: Vec<&str> = action.split(' ').collect();
    match words[..] {
        ["probe"] => rig::probe(&base),
        ["cuts", protocol, cuts, seed] => {
            let caught = rig::cut_often(
                &base,
                protocol.parse().unwrap(),
                cuts.parse().unwrap(),
                seed.parse().unwrap(),
            );
            for violation in &caught {
                say(violation);
            }
        }
        ["work", protocol, seed] => {
            work::work(&base, protocol.parse().unwrap(), seed.parse().unwrap());
        }
        _ => panic!("no action {action}"),
    }
}

/// What removes: the registry, or the same steps without a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Registry,
    Careless,
}

impl std::str::FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "registry" => Ok(Self::Registry),
            "careless" => Ok(Self::Careless),
            _ => Err(format!("no protocol {text}")),
        }
    }
}

/// Numbers that look random and are the same for the same seed (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// A folder to mount in; `None`, with a message, if mounting is not possible here.
fn place(what: &str) -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let why = if !rustix::process::geteuid().is_root() {
        "it takes root".to_owned()
    } else {
        let probe = command(&NAMESPACE, "probe", folder.path()).output();
        match probe {
            Ok(output) if output.status.success() => answer(&output).join("; "),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => format!("unshare: {error}"),
        }
    };
    if why == "works" {
        return Some(folder);
    }
    left_out(&format!("nothing can be mounted here ({why}): {what}"));
    None
}

fn cuts(folder: &Path, protocol: &str, cuts: u64) -> Vec<String> {
    let seed = setting("DALSEGNO_SEED", 20_261_122);
    let action = format!("cuts {protocol} {cuts} {seed}");
    let mut child: Command = command(&NAMESPACE, &action, folder);
    let output = child.output().unwrap();
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let said = answer(&output);
    assert!(output.status.success(), "{output:?}");
    said
}

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    let Some(folder) = place("power cuts") else {
        return;
    };
    let caught = cuts(folder.path(), "registry", setting("DALSEGNO_CUTS", 60));
    assert_eq!(caught, [""; 0]);
}

#[test]
fn removals_without_syncs_are_caught() {
    let Some(folder) = place("the control of the power cuts") else {
        return;
    };
    let caught = cuts(folder.path(), "careless", 10);
    let is_removal = |violation: &String| violation.contains("removed and is there");
    assert!(caught.iter().any(is_removal), "{caught:?}");
}
