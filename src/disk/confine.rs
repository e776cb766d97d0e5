//! Work by path that the kernel keeps inside one folder.
//!
//! A library that opens files by path can be led elsewhere: another user exchanges a folder of the
//! path for a link, between two of its system calls. Landlock rules hold for the folder itself, not
//! for its path, so a thread that they confine cannot make, write, truncate, rename or delete
//! anything outside, wherever the path leads. Rules bind a thread for as long as it lives,
//! so the work gets a thread of its own.
//!
//! Kernels before 5.13, and those that were started without Landlock, confine nothing: the work is
//! done all the same, and [`is_available`] says so.

use std::os::fd::AsFd;
use std::thread::Builder;

use landlock::{
    ABI, AccessFs, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
};

/// The first version that also takes away truncation. Older kernels take away what they know.
const RIGHTS: ABI = ABI::V3;

/// Does work in a thread that may change files only in `folder` and below it.
///
/// # Panics
/// If the work panics.
pub(crate) fn confined<T: Send>(folder: &(impl AsFd + Sync), work: impl FnOnce() -> T + Send) -> T {
    // The work has to be done even if no thread can be had, and moves into the thread or stays.
    let mut work = Some(work);
    let done = std::thread::scope(|scope| {
        let slot = &mut work;
        let thread = Builder::new()
            .name("confined".to_owned())
            .spawn_scoped(scope, move || {
                enter(folder);
                slot.take().map(|work| work())
            });
        match thread.map(|thread| thread.join()) {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => None,
        }
    });
    done.unwrap_or_else(|| work.take().expect("no thread took the work")())
}

/// Confines this thread; false if the kernel cannot.
fn enter(folder: &impl AsFd) -> bool {
    // A set of rules that forbids nothing at all is no error to the crate: it is one here.
    let confine = || -> Result<bool, landlock::RulesetError> {
        let write = AccessFs::from_write(RIGHTS);
        let status = Ruleset::default()
            .handle_access(write)?
            .create()?
            .add_rule(PathBeneath::new(folder, write))?
            .restrict_self()?;
        Ok(status.ruleset != RulesetStatus::NotEnforced)
    };
    confine().unwrap_or(false)
}

/// Whether this kernel confines threads.
#[cfg(any(test, feature = "testing"))]
pub fn is_available() -> bool {
    let here = std::fs::File::open("/").ok();
    here.is_some_and(|root| {
        std::thread::spawn(move || enter(&root))
            .join()
            .unwrap_or(false)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn work_by_a_path_that_leads_elsewhere_changes_nothing_there() {
        if !is_available() {
            return;
        }
        let base = tempfile::tempdir().unwrap();
        for name in ["inside", "outside"] {
            fs::create_dir(base.path().join(name)).unwrap();
            fs::write(base.path().join(name).join("old"), "old").unwrap();
        }
        let folder = fs::File::open(base.path().join("inside")).unwrap();
        fs::rename(base.path().join("inside"), base.path().join("moved")).unwrap();
        symlink(base.path().join("outside"), base.path().join("inside")).unwrap();
        let at = base.path().join("inside");
        let done = confined(&folder, || {
            (
                fs::write(at.join("new"), "").is_ok(),
                fs::write(at.join("old"), "").is_ok(),
                fs::remove_file(at.join("old")).is_ok(),
                fs::write(base.path().join("moved/new"), "").is_ok(),
                fs::read(at.join("old")).unwrap(),
            )
        });
        assert_eq!(done, (false, false, false, true, b"old".to_vec()));
        // The rules went with the thread.
        fs::write(at.join("new"), "").unwrap();
    }

    #[test]
    fn a_panic_of_the_work_is_the_callers() {
        let folder = fs::File::open("/").unwrap();
        let work = || confined(&folder, || panic!("the work's"));
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"the work's"));
    }
}
