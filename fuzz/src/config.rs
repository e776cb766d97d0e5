//! The configuration: a text is read or refused with a reason, what is read is written so that it
//! reads the same, and a policy that was read can be planned with.

use dalsegno::Config;
use dalsegno::Error;
use dalsegno::model::filter::Filter;
use dalsegno::{GcRequest, GcRules};

use super::world::World;

thread_local! {
    static WORLD: World = World::new();
}

/// Reads the bytes as a `config.toml`.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let config: Config = match toml::from_str(text) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.message().is_empty());
            return;
        }
    };
    let written = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<Config>(&written).as_ref(), Ok(&config));
    if config.policy.is_empty() {
        return;
    }
    WORLD.with(|world| {
        let registry = world.open(true).unwrap();
        for policy in config.policy.into_values() {
            let request =
                GcRequest::new(Filter::default(), GcRules::Named(policy)).words(String::new());
            if let Err(error) = registry.plan_gc(&request) {
                let code = error.code();
                assert!(matches!(error, Error::Retention(_)), "{error}");
                assert!(!code.starts_with("policy-"), "{error}");
            }
        }
    });
}
