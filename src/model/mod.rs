//! Values: no disk, no SQL, no clock.

pub mod actor;
pub mod artifact;
pub mod clock;
pub mod content;
pub mod detail;
pub mod filter;
pub mod hint;
pub mod identifier;
pub mod key;
pub mod layout;
pub mod name;
pub mod observation;
pub mod operation;
pub mod pin;
pub mod progress;
pub mod removal;
pub mod score;
pub mod size;
