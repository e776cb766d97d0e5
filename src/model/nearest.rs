//! The known name that a mistyped one most likely means.

/// How alike a name and a known one must be to be suggested, from 0 to 1.
const ALIKE: f64 = 0.75;

/// Characters from which on a name is looked for as a part of known ones.
const PART: usize = 3;

/// The most similar of the known names, if one is similar. Names that differ only in upper and
/// lower case are alike; among equally similar ones, the case decides. If none is similar as a
/// whole, it is one that the name is a part of, such as `threshold_127` for `127`.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase();
    let is_part = |known: &str| folded.chars().count() >= PART && known.contains(&folded);
    known
        .into_iter()
        .filter_map(|known| {
            let lower = known.to_lowercase();
            let alike = match strsim::jaro_winkler(&folded, &lower) {
                alike if alike >= ALIKE => alike,
                // Less than any that is similar as a whole; of these, the shortest.
                _ if is_part(&lower) => ALIKE * strsim::normalized_levenshtein(&folded, &lower),
                _ => return None,
            };
            Some((alike, strsim::jaro_winkler(name, known), known))
        })
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

    #[test]
    fn a_part_of_a_name_means_it_if_nothing_is_similar_as_a_whole() {
        let known = ["threshold_127", "watershed_127_8"];
        for (name, found) in [
            ("127", Some("threshold_127")),
            ("27_", Some("watershed_127_8")),
            ("7_8", Some("watershed_127_8")),
            ("SHED", Some("watershed_127_8")),
            ("ol", None),
        ] {
            assert_eq!(nearest(name, known), found, "{name}");
        }
    }
}
