//! What a member of the group can do to `.dalsegno`: links, FIFOs, devices, huge files, second
//! names, a journal that names another file, and names that are exchanged while a command runs.
//! Nothing outside the base directory is touched or read, and nothing waits for ever.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are not seen as tests"
)]

mod bomb;
#[path = "../common/end.rs"]
mod end;
mod exchanged;
mod modes;
mod planted;
mod reads;
mod scene;
mod schema;
#[path = "../child/strace.rs"]
mod strace;
