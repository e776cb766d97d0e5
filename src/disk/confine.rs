//! Work by path that the kernel keeps inside one folder.
//!
//! A library that opens files by path can be led elsewhere: another user exchanges a folder of the
//! path for a link, between two of its system calls. Landlock rules hold for the folder itself, not
//! for its path, so a thread that they confine cannot make, write, truncate, rename or delete
//! anything outside, wherever the path leads. Rules bind a thread for as long as it lives,
//! so the work gets a thread of its own. If no other user can exchange the folder, it needs none.
//!
//! Kernels before 5.13, and those that were started without Landlock, confine nothing: the work is
//! done all the same, and [`is_available`] says so.

use std::os::fd::AsFd;
use std::thread::Builder;

use landlock::{
    ABI, AccessFs, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
};
use rustix::fs::{AtFlags, statat};
use rustix::process::geteuid;

/// The first version that also takes away truncation. Older kernels take away what they know.
const RIGHTS: ABI = ABI::V3;

/// Does work that may change files only in `folder` and below it, as far as another user could
/// lead it elsewhere.
///
/// # Panics
/// If the work panics.
pub(crate) fn confined<T: Send>(folder: &(impl AsFd + Sync), work: impl FnOnce() -> T + Send) -> T {
    if !may_be_exchanged(folder) {
        return work();
    }
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

/// Whether users that are not trusted may put something else in the place of a folder: those who
/// may write in the folder around it. Folders further up are not theirs.
fn may_be_exchanged(folder: &impl AsFd) -> bool {
    let Ok(around) = statat(folder, "..", AtFlags::empty()) else {
        return true;
    };
    let is_trusted = around.st_uid == 0 || around.st_uid == geteuid().as_raw();
    // Of a folder with an access control list, the group's bits are those of its mask.
    !is_trusted || around.st_mode & 0o022 != 0
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
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A folder in which other users may write.
    fn shared_folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o770)).unwrap();
        folder
    }

    #[test]
    fn only_a_folder_that_others_can_exchange_needs_a_thread() {
        let thread_of = |mode| {
            let base = tempfile::tempdir().unwrap();
            fs::create_dir(base.path().join("own")).unwrap();
            let folder = fs::File::open(base.path().join("own")).unwrap();
            fs::set_permissions(base.path(), PermissionsExt::from_mode(mode)).unwrap();
            confined(&folder, || std::thread::current().id())
        };
        let here = std::thread::current().id();
        for mode in [0o700, 0o755, 0o2750] {
            assert_eq!(thread_of(mode), here, "{mode:o}");
        }
        for mode in [0o770, 0o702, 0o2775, 0o1777] {
            assert_ne!(thread_of(mode), here, "{mode:o}");
        }
    }

    #[test]
    fn work_by_a_path_that_leads_elsewhere_changes_nothing_there() {
        if !is_available() {
            return;
        }
        let base = shared_folder();
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
        let base = shared_folder();
        fs::create_dir(base.path().join("own")).unwrap();
        let folder = fs::File::open(base.path().join("own")).unwrap();
        let work = || confined(&folder, || panic!("the work's"));
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"the work's"));
    }
}
