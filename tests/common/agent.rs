//! Who changes a catalog that a test opens without a registry.

/// Who changes a catalog that a test opens by itself.
pub(crate) fn agent() -> dalsegno::model::actor::Agent {
    dalsegno::model::actor::Agent {
        actor: dalsegno::model::actor::Actor {
            user: "tester".to_owned(),
            host: "here".to_owned(),
            pid: 1,
        },
        command: None,
        job: None,
        version: "0".to_owned(),
    }
}
