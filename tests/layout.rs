//! Names, keys and the layout both ways, for arbitrary names.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use dalsegno::model::key::Key;
use dalsegno::model::layout::{self, LayoutError};
use dalsegno::model::name::{
    ContainerName, DatasetName, MAX_COMPONENT, NameError, Parameters, RunName, is_container_name,
    parse_iteration,
};
use proptest::prelude::*;

/// Every error that a name can give.
const NAME_CODES: [&str; 10] = [
    "name-empty",
    "name-absolute",
    "name-dot",
    "name-dot-dot",
    "name-nul",
    "name-control",
    "name-component-too-long",
    "name-reserved",
    "name-not-a-container",
    "name-iteration",
];

/// Components that mean something to the layout, and a few that mean nothing.
fn component() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "a",
        "b c",
        "output",
        "prediction",
        "inputs",
        "raw",
        "gt",
        "volumes",
        "1",
        "-3",
        "007",
        "+1",
        "threshold_127",
        "[mito]",
        "\u{e9}",
        "e\u{301}",
    ]);
    prop_oneof![
        3 => words.prop_map(str::to_owned),
        1 => "[ -.0-~\u{e4}\u{65e5}]{1,8}".prop_filter("a plain component", |text| {
            !matches!(text.as_str(), "." | "..") && !is_container_name(text)
        }),
    ]
}

/// Components of any kind, those that look like containers or like the registry's own folder
/// included.
fn any_component() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "validation.zarr",
        "snapshot.zarr",
        "x.zarr",
        "x.n5",
        ".zarr",
        ".dalsegno2",
    ]);
    prop_oneof![2 => component(), 1 => odd.prop_map(str::to_owned)]
}

fn name<T>(component: impl Strategy<Value = String>) -> impl Strategy<Value = T>
where
    T: TryFrom<String, Error = NameError> + std::fmt::Debug,
{
    prop::collection::vec(component, 1..4).prop_filter_map("a name of this type", |components| {
        T::try_from(components.join("/")).ok()
    })
}

/// Keys of every kind from names of these components.
fn key<C: Strategy<Value = String> + 'static>(
    component: impl Fn() -> C,
    container: impl Strategy<Value = ContainerName> + 'static,
) -> impl Strategy<Value = Key> {
    let run = name::<RunName>(component());
    let dataset = name::<DatasetName>(component());
    let parameters = name::<Parameters>(component());
    let iteration = prop_oneof![-5..20_i64, any::<i64>()];
    let some = (any::<bool>(), any::<bool>(), 0..10_usize);
    (run, dataset, parameters, iteration, container, some).prop_map(
        |(run, dataset, parameters, iteration, container, (has_dataset, has_iteration, kind))| {
            let index = has_dataset.then(|| dataset.clone());
            // Of the containers of DaCapo's, one is what a key without any means, and the other
            // holds no validations.
            let is_dacapos = matches!(container.as_str(), "validation.zarr" | "snapshot.zarr");
            let beside = (has_iteration && !is_dacapos).then(|| container.clone());
            match kind {
                0 => Key::Prediction {
                    run,
                    iteration,
                    dataset,
                    container: beside,
                },
                1 => Key::Output {
                    run,
                    iteration,
                    dataset,
                    parameters,
                    container: beside,
                },
                2 => Key::InputRaw { run, index },
                3 => Key::InputGt { run, index },
                4 => Key::Best {
                    run,
                    criterion: parameters,
                    index,
                },
                5 => Key::Snapshot {
                    run,
                    iteration: has_iteration.then_some(iteration),
                    dataset,
                },
                6 => Key::SnapshotContainer { run },
                7 => Key::ValidationContainer { run },
                8 => Key::Checkpoint { run, iteration },
                _ => Key::Array {
                    run,
                    container,
                    dataset: index,
                },
            }
        },
    )
}

/// Keys whose names have no component that looks like a container, in containers of DaCapo's or
/// in unknown ones.
fn plain_key() -> impl Strategy<Value = Key> {
    let container = prop::sample::select(vec!["other.zarr", "x.n5", "validation.zarr.zarr"]);
    key(component, container.prop_map(|name| name.parse().unwrap()))
}

/// Keys from any names that are allowed.
fn any_key() -> impl Strategy<Value = Key> {
    let container = prop::sample::select(vec![
        "other.zarr",
        "x.n5",
        "validation.zarr",
        "snapshot.zarr",
        "validation",
        "data",
        "checkpoints",
    ]);
    key(
        any_component,
        container.prop_map(|name| name.parse().unwrap()),
    )
}

/// Whether the documentation of the layout says that a scan reads this key as another one; for
/// keys without a component that looks like a container.
fn is_documented_as_ambiguous(key: &Key) -> bool {
    let components = |name: &str| name.split('/').map(str::to_owned).collect::<Vec<_>>();
    match key {
        Key::Output { parameters, .. } => {
            let components = components(parameters.as_str());
            let (last, others) = components.split_last().unwrap();
            last == "prediction" || others.iter().any(|component| component == "output")
        }
        Key::Best {
            criterion, index, ..
        } => {
            let path = match index {
                Some(index) => components(&format!("{index}/{criterion}")),
                None => components(criterion.as_str()),
            };
            let last = path.last().unwrap();
            criterion.as_str().contains('/')
                || (path.len() > 1 && path[0] == "inputs" && (last == "raw" || last == "gt"))
                || (path.len() > 2 && parse_iteration(&path[0]).is_ok())
        }
        Key::Snapshot {
            iteration: None,
            dataset,
            ..
        } => {
            let components = components(dataset.as_str());
            components.len() > 1 && parse_iteration(&components[0]).is_ok()
        }
        Key::Array {
            dataset: Some(dataset),
            ..
        } => {
            let path = components(dataset.as_str());
            let is_output = |at: &usize| path[*at] == "output";
            parse_iteration(&path[0]).is_ok()
                && (path.len() > 2 && path[path.len() - 1] == "prediction"
                    || (2..path.len() - 1).any(|at| is_output(&at)))
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_scan_reads_every_key_that_its_path_can_tell(key in plain_key()) {
        let path = layout::locate(&key).path();
        let read = layout::parse(&path).unwrap();
        if is_documented_as_ambiguous(&key) {
            prop_assert_ne!(&read, &key, "{}", path);
        } else {
            prop_assert_eq!(&read, &key, "{}", path);
        }
        prop_assert_eq!(layout::round_trips(&key), read == key);
    }

    #[test]
    fn a_path_that_is_read_as_another_key_is_still_that_key_s_path(key in any_key()) {
        let path = layout::locate(&key).path();
        let read = layout::parse(&path);
        // Behind a run that is called like a container, one without an ending is not seen as such.
        let is_plain = key.container().is_some_and(|name| !is_container_name(name.as_str()));
        prop_assume!(!is_plain || !matches!(read, Err(LayoutError::NoRun { .. })));
        prop_assert!(read.is_ok(), "{}: {:?}", path, read);
        let read = read.unwrap();
        prop_assert_eq!(layout::locate(&read).path(), path.clone());
        prop_assert_eq!(layout::canonical_location(&read), layout::canonical_location(&key));
        prop_assert_eq!(layout::canonical_location(&key).path(), path);
        prop_assert_eq!(layout::round_trips(&key), read == key);
        prop_assert!(layout::round_trips(&read) || !layout::round_trips(&key));
    }

    #[test]
    fn a_key_has_its_own_place_and_no_other(key in any_key(), other in any_key()) {
        for place in [layout::canonical_location(&key), layout::locate(&key), layout::canonical_location(&other)] {
            let array = place.array.clone().unwrap_or_default();
            let is_its_own = layout::is_canonical_location(&key, &place.container, &array);
            prop_assert_eq!(is_its_own, place == layout::canonical_location(&key));
        }
    }

    #[test]
    fn keys_survive_json(key in any_key()) {
        let json = serde_json::to_string(&key).unwrap();
        prop_assert_eq!(serde_json::from_str::<Key>(&json).unwrap(), key);
    }

    #[test]
    fn a_name_holds_its_invariants_or_gives_a_documented_error(text in any_text()) {
        check::<RunName>(&text)?;
        check::<DatasetName>(&text)?;
        check::<Parameters>(&text)?;
        check::<ContainerName>(&text)?;
    }

    #[test]
    fn a_path_of_any_text_is_read_or_gives_a_documented_error(text in any_text()) {
        match layout::parse(&text) {
            Ok(key) => prop_assert!(layout::parse(&layout::locate(&key).path()).is_ok()),
            Err(LayoutError::Name(error)) => prop_assert!(NAME_CODES.contains(&error.code())),
            Err(error) => prop_assert!(
                matches!(error.code(), "layout-no-container" | "layout-no-run")
            ),
        }
    }

    #[test]
    fn an_iteration_is_read_just_where_it_is_written_so(text in "[+-]?[0-9]{0,20}|[0-9.e]{1,6}|.{0,4}") {
        match parse_iteration(&text) {
            Ok(iteration) => prop_assert_eq!(iteration.to_string(), text),
            Err(error) => {
                prop_assert_eq!(error.code(), "name-iteration");
                prop_assert!(text.parse::<i64>().map_or(true, |n| n.to_string() != text));
            }
        }
    }
}

/// Arbitrary text, and text made of the parts that the rules speak of.
fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any_component(),
        prop::sample::select(vec![
            "",
            ".",
            "..",
            "\0",
            "\t",
            "\u{85}",
            "\u{7f}",
            "\u{202e}",
            ".dalsegno",
            ".DALSEGNO",
            ".dalsegno.new-1",
            "...",
            "\u{feff}",
            "a\nb",
        ])
        .prop_map(str::to_owned),
        (250..260_usize).prop_map(|length| "n".repeat(length)),
        (120..135_usize).prop_map(|length| "\u{e9}".repeat(length)),
    ];
    prop_oneof![
        any::<String>(),
        prop::collection::vec(part, 0..5).prop_map(|parts| parts.join("/")),
    ]
}

/// Checks what `text` became as a name of type `T`.
fn check<T>(text: &str) -> Result<(), TestCaseError>
where
    T: TryFrom<String, Error = NameError> + Into<String> + Clone + PartialEq + std::fmt::Debug,
    T: serde::Serialize + serde::de::DeserializeOwned + std::fmt::Display,
{
    let components: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    let parsed = T::try_from(text.to_owned());
    let json = serde_json::to_string(text).unwrap();
    prop_assert_eq!(
        serde_json::from_str::<T>(&json).ok(),
        parsed.clone().ok(),
        "serde takes what the parser takes"
    );
    let name = match parsed {
        Ok(name) => name,
        Err(error) => {
            let code = error.code();
            prop_assert!(NAME_CODES.contains(&code), "{}", code);
            let reason = match code {
                "name-empty" => text.is_empty(),
                "name-absolute" => text.starts_with('/'),
                "name-dot" => components.contains(&"."),
                "name-dot-dot" => components.contains(&".."),
                "name-nul" => text.contains('\0'),
                "name-control" => text.chars().any(char::is_control),
                "name-component-too-long" => {
                    components.iter().any(|part| part.len() > MAX_COMPONENT)
                }
                "name-reserved" => components[0].to_lowercase().starts_with(".dalsegno"),
                "name-not-a-container" => components.len() > 1,
                _ => false,
            };
            prop_assert!(reason, "{:?} gave {}", text, code);
            let message = error.to_string();
            prop_assert!(!message.chars().any(char::is_control), "{:?}", message);
            return Ok(());
        }
    };
    let held: String = name.clone().into();
    prop_assert!(!held.is_empty());
    prop_assert_eq!(
        held.split('/').collect::<Vec<_>>(),
        components,
        "kept to the byte"
    );
    for part in held.split('/') {
        prop_assert!(!part.is_empty() && part != "." && part != "..");
        prop_assert!(part.len() <= MAX_COMPONENT);
        prop_assert!(!part.chars().any(char::is_control));
    }
    prop_assert_eq!(name.to_string(), held.clone());
    prop_assert_eq!(T::try_from(held.clone()).ok(), Some(name.clone()));
    let json = serde_json::to_string(&name).unwrap();
    prop_assert_eq!(&json, &serde_json::to_string(&held).unwrap());
    prop_assert_eq!(serde_json::from_str::<T>(&json).unwrap(), name);
    Ok(())
}

/// The code of the error that a name gives, or `ok`.
fn outcome<T: TryFrom<String, Error = NameError>>(text: &str) -> &'static str {
    match T::try_from(text.to_owned()) {
        Ok(_) => "ok",
        Err(error) => error.code(),
    }
}

#[test]
fn every_bad_name_is_refused_with_its_own_error() {
    let long = format!("a/{}", "\u{e9}".repeat(128));
    let longest = "n".repeat(MAX_COMPONENT);
    for (text, run, others) in [
        ("", "name-empty", "name-empty"),
        ("/abs", "name-absolute", "name-absolute"),
        ("//", "name-absolute", "name-absolute"),
        (".", "name-dot", "name-dot"),
        ("./a", "name-dot", "name-dot"),
        ("a/./b", "name-dot", "name-dot"),
        ("a/.", "name-dot", "name-dot"),
        ("..", "name-dot-dot", "name-dot-dot"),
        ("../a", "name-dot-dot", "name-dot-dot"),
        ("a/b/..", "name-dot-dot", "name-dot-dot"),
        ("a\0", "name-nul", "name-nul"),
        ("\n", "name-control", "name-control"),
        ("a\u{1b}]0;b", "name-control", "name-control"),
        ("\u{7f}", "name-control", "name-control"),
        ("\u{9b}31m", "name-control", "name-control"),
        (&long, "name-component-too-long", "name-component-too-long"),
        (&longest, "ok", "ok"),
        (".dalsegno", "name-reserved", "ok"),
        (".Dalsegno/trash/1", "name-reserved", "ok"),
        ("...", "ok", "ok"),
        ("a b/(c), d=[e]*?", "ok", "ok"),
        ("-rf", "ok", "ok"),
        ("~", "ok", "ok"),
    ] {
        assert_eq!(outcome::<RunName>(text), run, "run {text:?}");
        assert_eq!(outcome::<DatasetName>(text), others, "dataset {text:?}");
        assert_eq!(outcome::<Parameters>(text), others, "parameters {text:?}");
        let container = match others {
            "ok" if text.contains('/') => "name-not-a-container",
            // The run would hold a registry.
            "ok" if run == "name-reserved" => run,
            others => others,
        };
        assert_eq!(
            outcome::<ContainerName>(text),
            container,
            "container {text:?}"
        );
    }
}

#[test]
fn a_key_with_a_bad_name_cannot_be_read_from_json() {
    let good = r#"{"kind":"output","run":"r","iteration":1,"dataset":"d","parameters":"p"}"#;
    assert!(serde_json::from_str::<Key>(good).is_ok());
    for (from, to) in [
        (r#""run":"r""#, r#""run":".dalsegno""#),
        (r#""run":"r""#, r#""run":"../r""#),
        (r#""dataset":"d""#, r#""dataset":"/d""#),
        (r#""parameters":"p""#, r#""parameters":"""#),
        (r#""iteration":1"#, r#""iteration":1.5"#),
        (r#""kind":"output""#, r#""kind":"outputs""#),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        assert!(serde_json::from_str::<Key>(&bad).is_err(), "{bad}");
    }
}

#[test]
fn a_prediction_in_another_container_has_a_key_of_its_own() {
    let keys = ["validation.zarr", "validation.n5", "validation", "x.zr3"].map(|container| {
        let path = format!("r/{container}/1/d/prediction");
        let key = layout::parse(&path).unwrap();
        assert!(layout::round_trips(&key), "{path}");
        assert_eq!(layout::locate(&key).container, format!("r/{container}"));
        key
    });
    let texts = keys.map(|key| key.to_string());
    let text = "prediction of r, iteration 1, dataset d";
    let beside = |container| format!("{text}, container {container}");
    let expected = ["validation.n5", "validation", "x.zr3"].map(beside);
    assert_eq!(texts[0], text);
    assert_eq!(texts[1..], expected);
    // The container that a key without any means has no second key.
    let json = |container: &str| {
        let key = r#"{"kind":"prediction","run":"r","iteration":1,"dataset":"d","container":"#;
        serde_json::from_str::<Key>(&format!("{key}{container}}}")).unwrap()
    };
    assert_eq!(json(r#""validation.zarr""#), json("null"));
    assert_eq!(json(r#""validation.n5""#).to_string(), expected[0]);
}

#[test]
fn a_container_in_the_base_directory_itself_is_in_no_run() {
    for path in ["validation.zarr/1/d/prediction", "x.zarr", "x.n5/a/b"] {
        assert_eq!(
            layout::parse(path).unwrap_err().code(),
            "layout-no-run",
            "{path}"
        );
    }
    let key = layout::parse("validation.zarr/x.zarr/a").unwrap();
    assert_eq!(key.run().as_str(), "validation.zarr");
}
