//! Who acts: user, host, process, command line and batch job. The only place that reads them.

use crate::model::actor::{Actor, Agent};

/// Environment variables of the batch systems that hold the job's id.
const JOBS: [&str; 3] = ["SLURM_JOB_ID", "LSB_JOBID", "PBS_JOBID"];

/// This process and its user, for removals and the history.
pub(super) fn agent() -> Agent {
    // Lossy: a word that is not UTF-8 must not keep a change out of the history.
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let job = JOBS.iter().find_map(|name| std::env::var(name).ok());
    let uid = nix::unistd::getuid();
    Agent {
        actor: Actor {
            user: user_name(uid.as_raw()),
            host: hostname(),
            pid: std::process::id(),
        },
        command: (!words.is_empty()).then(|| words.join(" ")),
        job: job.filter(|job| !job.is_empty()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The user whom files that this process makes belong to, by number.
pub(super) fn user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The name of a user. One without an entry in the user database goes by number.
pub(super) fn user_name(uid: u32) -> String {
    // A user database that does not answer must not stop a change either.
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// The name of this host.
pub(crate) fn hostname() -> String {
    // Tests play several hosts.
    #[cfg(feature = "testing")]
    if let Ok(name) = std::env::var("DALSEGNO_TEST_HOST") {
        return name;
    }
    // From the kernel, because asking a resolver may take long or differ between processes.
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
