//! Scores that are imported: what is read can be written and read again.

use dalsegno::Error;
use dalsegno::model::score;

/// Reads the bytes as CSV or JSON lines.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let scores = match score::parse(text) {
        Ok(scores) => scores,
        Err(error) => {
            assert!(Error::CODES.contains(&error.code()));
            assert!(error.line > 0 && !error.detail.is_empty());
            return;
        }
    };
    if scores.is_empty() {
        return;
    }
    let mut lines = String::new();
    for score in &scores {
        lines.push_str(&line(score));
        lines.push('\n');
    }
    let again = score::parse(&lines).unwrap();
    assert_eq!(format!("{again:?}"), format!("{scores:?}"), "{lines}");
}

/// A score as a line of what is imported.
fn line(score: &score::Score) -> String {
    let mut fields = serde_json::Map::new();
    fields.insert("run".to_owned(), score.run.as_str().into());
    fields.insert("iteration".to_owned(), score.iteration.into());
    let dataset = score.dataset.as_ref().map(|name| name.as_str());
    fields.insert("dataset".to_owned(), dataset.into());
    let parameters = score.parameters.as_ref().map(|name| name.as_str());
    fields.insert("parameters".to_owned(), parameters.into());
    fields.insert("metric".to_owned(), score.metric.as_str().into());
    fields.insert("value".to_owned(), score.value.to_string().into());
    serde_json::Value::Object(fields).to_string()
}
