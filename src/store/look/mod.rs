//! Looking at data: searching for arrays and checkpoints, and at paths that are known.

mod best;
mod container;
mod event;
mod marker;
mod notice;
mod occupant;
mod walk;
mod written;

pub use best::{BestLink, best_links};
pub use container::{Contents, contents, contents_of_item};
pub use event::{Event, Look, Subject};
pub use notice::{Finding, FindingClass, escape};
pub use occupant::{Instead, instead, metadata_bytes};
pub use walk::{WalkOptions, look, walk, walk_from};
pub use written::written_at;
