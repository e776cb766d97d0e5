//! The command line: what each command writes to stdout and stderr, its exit code, and what it
//! does when something is wrong. Every program runs in an environment of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails by panicking"
)]

mod below_run;
mod checkpoints;
mod clock;
mod complete;
mod ctrl_c;
mod damaged;
mod disk_use;
mod doctor;
mod due;
mod empty;
mod errors;
mod forms;
mod free;
mod full;
mod gc;
mod gone;
mod grown;
mod help;
mod history;
mod hosts;
#[path = "../common/lock.rs"]
mod lock;
mod members;
mod mounts;
mod near;
mod nested;
mod newer;
mod nothing;
mod one_run;
mod paths;
mod pins;
mod pipes;
mod rebuild;
mod removal;
mod renaming;
mod short;
mod sorting;
mod sticky;
#[path = "../child/strace.rs"]
mod strace;
mod terminal;
mod trash;
mod verify;
mod world;
mod wrong_base;

use strace::left_out;
