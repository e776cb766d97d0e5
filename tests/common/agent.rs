//! Who changes a catalog that a test opens without a registry.

/// Who changes a catalog that a test opens by itself.
pub(crate) fn agent() -> dalsegno::model::operation::Agent {
    dalsegno::model::operation::Agent {
        actor: dalsegno::model::removal::Actor {
            user: "tester".to_owned(),
            host: "here".to_owned(),
            pid: 1,
        },
        command: None,
        job: None,
        version: "0".to_owned(),
    }
}
