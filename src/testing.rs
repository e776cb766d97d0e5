//! What the tests, benchmarks and fuzz targets of this crate need beside its API.
//!
//! No API: it changes without notice, and what it hands out can break every promise of the
//! registry.

pub use crate::catalog::sqlite::backup;
pub use crate::catalog::{
    AdoptCounts, Catalog, CatalogOptions, Observed, ObservedRow, ScannedArtifact, Seal, Selected,
    statements,
};
pub use crate::disk::{WITHOUT_OPENAT2, can_confine};
pub use crate::model::observation::{Damage, Observation};
pub use crate::store::{Base, Expected, Hashed, Look, ReadError, WITHOUT_NOREPLACE, hash};
