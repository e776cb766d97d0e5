//! Files and folders in a shared folder: made for all who may use that folder, opened without
//! being led elsewhere.
//!
//! Those who may write in a folder can exchange what is in it at any moment. So a name in a shared
//! folder is used relative to an open descriptor of the folder, not as a path: a link is not
//! followed, in any name of a path (`below`), a FIFO or a device is refused without waiting for it, and what was opened is looked at
//! by its descriptor before it is used. SQLite opens by path: it does so in a thread that the
//! kernel keeps inside the folder (`confine`).
//!
//! # Modes
//! What is made takes mode and group from the folder around it, whatever the umask: a file gets
//! its read and write bits, a folder all of them and its setgid bit. If the group
//! cannot be given, the group gets no more than all others get. A lock file has no right to read
//! for those who may not write it.

mod below;
mod confine;
mod folder;
mod lock;
mod make;
mod near;
mod open;
mod registry;
mod runs;
mod sticky;
mod whose;

#[cfg(feature = "testing")]
pub use below::WITHOUT_OPENAT2;
pub(crate) use below::{open_below, open_on_mount, stat_below};
pub(crate) use confine::confined;
#[cfg(any(test, feature = "testing"))]
pub use confine::is_available as can_confine;
pub(crate) use folder::Folder;
pub(crate) use lock::{LockFile, has_mere_readers};
pub(crate) use make::{
    make_file, make_folder, make_own_file, make_shared_folder, off_standard_streams,
};
pub(crate) use near::registry_near;
pub(crate) use near::{registry_above, registry_below};
pub(crate) use open::{Access, open_file, read_file, read_opened};
pub(crate) use registry::{RegistryPlace, is_registry, registry_in};
pub(crate) use runs::{LooksLike, looks_like};
pub(crate) use sticky::or_sticky;
pub(crate) use whose::{group_name, owner_name, whose};
