//! Who changes a catalog that a test opens without a registry.

/// Who changes a catalog that a test opens by itself.
pub(crate) fn agent() -> dalsegno::history::Agent {
    dalsegno::history::Agent {
        actor: dalsegno::removals::Actor {
            user: "tester".to_owned(),
            host: "here".to_owned(),
            pid: 1,
        },
        command: None,
        job: None,
        version: "0".to_owned(),
    }
}
