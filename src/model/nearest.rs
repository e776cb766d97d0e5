//! The known name that a mistyped one most likely means.

/// How alike a name and a known one must be to be suggested, from 0 to 1.
const ALIKE: f64 = 0.75;

/// The most similar of the known names, if one is similar. Names that differ only in upper and
/// lower case are alike; among equally similar ones, the case decides.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase();
    known
        .into_iter()
        .map(|known| {
            let alike = strsim::jaro_winkler(&folded, &known.to_lowercase());
            (alike, strsim::jaro_winkler(name, known), known)
        })
        .filter(|(alike, _, _)| *alike >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)))
        .map(|(_, _, known)| known)
}

/// What an error adds about the nearest name; nothing if there is none.
pub(crate) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |nearest| {
        format!("; did you mean \"{}\"?", nearest.escape_debug())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_differs_in_case_alone_is_the_nearest() {
        let known = ["cropA", "cropB", "CROPC", "crop_a", "prediction"];
        for (name, found) in [
            ("cropa", Some("cropA")),
            ("CROPB", Some("cropB")),
            ("cropc", Some("CROPC")),
            ("PREDICTION", Some("prediction")),
            ("Predicton", Some("prediction")),
            ("x", None),
        ] {
            assert_eq!(nearest(name, known), found, "{name}");
        }
        assert_eq!(nearest("Crop7", ["crop7", "Crop", "CROP7"]), Some("crop7"));
        assert_eq!(nearest("Mito1", ["mito", "Mito"]), Some("Mito"));
    }
}
