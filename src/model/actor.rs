//! Who changes a catalog.

use serde::{Deserialize, Serialize};

/// The user and process that change something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Actor {
    /// User name; the uid as text if the user has no name.
    pub user: String,
    /// Name of its host.
    pub host: String,
    /// Its process id.
    pub pid: u32,
}

impl Actor {
    /// Makes an actor.
    #[must_use]
    pub fn new(user: impl Into<String>, host: impl Into<String>, pid: u32) -> Self {
        Self {
            user: user.into(),
            host: host.into(),
            pid,
        }
    }
}

/// An actor with the program that it runs, as the history has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Agent {
    /// User, host and process.
    #[serde(flatten)]
    pub actor: Actor,
    /// Command line; `None` if it is unknown.
    pub command: Option<String>,
    /// Id of the batch job (Slurm, LSF, PBS) that it runs in; `None` outside of batch jobs.
    pub job: Option<String>,
    /// Version of dalsegno.
    pub version: String,
}

impl Agent {
    /// Makes an agent of unknown command, outside of batch jobs.
    #[must_use]
    pub fn new(actor: Actor, version: impl Into<String>) -> Self {
        Self {
            actor,
            command: None,
            job: None,
            version: version.into(),
        }
    }
}
