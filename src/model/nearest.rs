//! The known name that a mistyped one most likely means.

/// How alike a name and a known one must be to be suggested, from 0 to 1.
const ALIKE: f64 = 0.75;

/// The most similar of the known names, if one is similar.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// What an error adds about the nearest name; nothing if there is none.
pub(crate) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |nearest| {
        format!("; did you mean \"{}\"?", nearest.escape_debug())
    })
}
