//! Parses scores from CSV or JSON lines.
//!
//! Columns (fields in JSON) are `run` and `iteration`, optionally `dataset` and `parameters`, and
//! then either `metric` and `value`, one score a line, or one column for each metric. Empty cells
//! and `null` are skipped. Values are numbers, `nan`, `inf` or `-inf`.

use serde_json::{Map, Value};

use super::value::{MetricName, Score, parse_value};
use crate::model::name::{self, DatasetName, Parameters, RunName};

/// Columns that say what is scored, not how.
const PLACE: [&str; 4] = ["run", "iteration", "dataset", "parameters"];

/// A line cannot be parsed as scores.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {detail}")]
#[non_exhaustive]
pub struct ImportError {
    /// Number of the line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub detail: String,
}

impl ImportError {
    /// Stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self { .. } => "scores-invalid",
        }
    }
}

/// Parses scores from CSV with a heading, or from JSON lines if the text begins with `{`.
///
/// # Errors
/// [`ImportError`] with the first line that is not CSV or JSON, lacks run or iteration, or has a
/// name or value that is not valid.
pub fn parse(text: &str) -> Result<Vec<Score>, ImportError> {
    // Spreadsheets put a byte order mark in front.
    let text = text.trim_start_matches('\u{feff}');
    // A heading begins with the name of a column, and a line of JSON with a brace.
    if text.trim_start().starts_with('{') {
        read_json_lines(text)
    } else {
        read_csv(text)
    }
}

fn read_json_lines(text: &str) -> Result<Vec<Score>, ImportError> {
    let mut scores = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        let fail = |detail| ImportError { line, detail };
        let fields: Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| fail(format!("it is not a JSON object: {error}")))?;
        let mut cells = Vec::new();
        for (name, value) in fields {
            let cell = match value {
                Value::Null => String::new(),
                Value::String(text) => text,
                // As text, so that both formats go through the same checks.
                Value::Number(number) => number.to_string(),
                _ => return Err(fail(format!("{name} is neither a number nor text"))),
            };
            cells.push((name, cell));
        }
        let cells = cells
            .iter()
            .map(|(name, cell)| (name.as_str(), cell.as_str()));
        scores.extend(read_line(cells).map_err(fail)?);
    }
    Ok(scores)
}

fn read_csv(text: &str) -> Result<Vec<Score>, ImportError> {
    // Only headings are trimmed: the name of a run may begin or end with a space.
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::Headers)
        .from_reader(text.as_bytes());
    let fail = |error: csv::Error| ImportError {
        line: error
            .position()
            .map_or(1, |position| line_at(text, position)),
        detail: error.to_string(),
    };
    let heading = reader.headers().map_err(fail)?.clone();
    // Of two columns with one name only the first would be read, silently.
    for (at, name) in heading.iter().enumerate() {
        if heading.iter().take(at).any(|other| other == name) {
            let detail = format!("the heading has the column {name} twice");
            return Err(ImportError { line: 1, detail });
        }
    }
    // Checked here, so that the error is about the heading and not about each line.
    for name in ["run", "iteration"] {
        if !heading.iter().any(|column| column == name) {
            let detail = format!(
                "the heading has no column {name}; columns are run, iteration, dataset, \
                 parameters, and metric and value or one for each metric"
            );
            return Err(ImportError { line: 1, detail });
        }
    }
    let mut scores = Vec::new();
    for record in reader.records() {
        let record = record.map_err(fail)?;
        let line = record
            .position()
            .map_or(0, |position| line_at(text, position));
        let cells = heading.iter().zip(record.iter());
        scores.extend(read_line(cells).map_err(|detail| ImportError { line, detail })?);
    }
    Ok(scores)
}

/// The line of the text on which a record begins. The number of the reader skips empty lines.
fn line_at(text: &str, position: &csv::Position) -> u64 {
    let at = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    // The reader skips empty lines only after it has noted the position.
    let empty = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
    let lines = |text: &str| text.bytes().filter(|&byte| byte == b'\n').count() as u64;
    1 + lines(before) + lines(&rest[..empty])
}

/// The scores of one line, from the names of its columns and their cells.
fn read_line<'a>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Vec<Score>, String> {
    // Spreadsheets leave blanks in empty cells.
    let cells: Vec<(&str, &str)> = cells.filter(|(_, cell)| !cell.trim().is_empty()).collect();
    let cell = |name: &str| {
        let found = cells.iter().find(|(column, _)| *column == name);
        found.map(|(_, cell)| *cell)
    };
    let bad = |name: &str, error: &dyn std::fmt::Display| format!("{name}: {error}");
    let run: RunName = cell("run")
        .ok_or("run is missing")?
        .parse()
        .map_err(|error| bad("run", &error))?;
    let iteration = name::parse_iteration(cell("iteration").ok_or("iteration is missing")?.trim())
        .map_err(|error| bad("iteration", &error))?;
    let dataset: Option<DatasetName> = cell("dataset")
        .map(str::parse)
        .transpose()
        .map_err(|error| bad("dataset", &error))?;
    let parameters: Option<Parameters> = cell("parameters")
        .map(str::parse)
        .transpose()
        .map_err(|error| bad("parameters", &error))?;
    let score = |metric: &str, value: &str| -> Result<Score, String> {
        let metric: MetricName = metric.parse().map_err(|error| bad("metric", &error))?;
        let value = parse_value(value)
            .ok_or_else(|| format!("{metric}: \"{}\" is not a number", value.escape_debug()))?;
        Ok(Score {
            run: run.clone(),
            iteration,
            dataset: dataset.clone(),
            parameters: parameters.clone(),
            metric,
            value,
        })
    };
    let others = |(name, _): &&(&str, &str)| !PLACE.contains(name);
    match (cell("metric"), cell("value")) {
        (Some(metric), Some(value)) => {
            // Beside these two any other column could be a metric as well: the line is ambiguous.
            let more = cells
                .iter()
                .filter(others)
                .find(|(name, _)| !["metric", "value"].contains(name));
            match more {
                Some((name, _)) => Err(format!("beside metric and value there is also {name}")),
                None => Ok(vec![score(metric, value)?]),
            }
        }
        // The cell of the value is empty, and empty cells are skipped.
        (Some(_), None) => Ok(Vec::new()),
        (None, _) => cells
            .iter()
            .filter(others)
            .map(|(metric, value)| score(metric, value))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each score as `run iteration dataset parameters metric=value`.
    fn text_of(text: &str) -> Result<Vec<String>, String> {
        let scores = parse(text).map_err(|error| error.to_string())?;
        let text = |score: Score| {
            format!(
                "{} {} {} {} {}={}",
                score.run,
                score.iteration,
                score
                    .dataset
                    .map_or("-".to_owned(), |name| name.to_string()),
                score
                    .parameters
                    .map_or("-".to_owned(), |text| text.to_string()),
                score.metric,
                score.value
            )
        };
        Ok(scores.into_iter().map(text).collect())
    }

    #[test]
    fn one_score_a_line_is_read() {
        let csv = "run,iteration,dataset,parameters,metric,value\n\
                   a b,1000,d,\"P(x=1, y=2)\",voi,0.5\r\n\na b,2000,,,voi,nan\n";
        let expected = ["a b 1000 d P(x=1, y=2) voi=0.5", "a b 2000 - - voi=NaN"];
        assert_eq!(text_of(csv).unwrap(), expected);
        let jsonl = concat!(
            r#"{"run":"a b","iteration":1000,"dataset":"d","parameters":"P(x=1, y=2)","metric":"voi","value":0.5}"#,
            "\n\n",
            r#"{"run":"a b","iteration":"2000","metric":"voi","value":"nan","dataset":null}"#,
        );
        assert_eq!(text_of(jsonl).unwrap(), expected);
    }

    #[test]
    fn a_column_for_each_metric_is_read() {
        let csv = "\u{feff}iteration,run,voi,f1\n1,r,0.5,\n2,r,,-inf\n";
        assert_eq!(
            text_of(csv).unwrap(),
            ["r 1 - - voi=0.5", "r 2 - - f1=-inf"]
        );
        let jsonl = r#"{"run":"r","iteration":1,"voi":0.5,"f1":1}"#;
        assert_eq!(text_of(jsonl).unwrap(), ["r 1 - - voi=0.5", "r 1 - - f1=1"]);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        for (text, says) in [
            (
                "run,voi\nr,1\n",
                "line 1: the heading has no column iteration",
            ),
            (
                "run,iteration,voi,voi\nr,1,1,1\n",
                "line 1: the heading has the column voi twice",
            ),
            ("run,iteration,voi\nr,1,0.5\nr,x,1\n", "line 3: iteration: "),
            ("run,iteration,voi\n,1,0.5\n", "line 2: run is missing"),
            ("run,iteration,voi\n../r,1,0.5\n", "line 2: run: "),
            (
                "run,iteration,voi\nr,1,high\n",
                "line 2: voi: \"high\" is not a number",
            ),
            ("run,iteration,voi\nr,1\n", "line 2: "),
            (
                "run,iteration,voi\nr,1,2\n\n\r\nr,x,2\n",
                "line 5: iteration: ",
            ),
            (
                "run,iteration,voi\nr,1,1e400\n",
                "line 2: voi: \"1e400\" is not a number",
            ),
            ("run,iteration,voi\n\nr,1,2,3\n", "line 3: "),
            ("run,iteration,a:b\nr,1,2\n", "line 2: metric: "),
            (
                "{\"run\":\"r\",\"iteration\":1,\"voi\":[1]}",
                "line 1: voi is neither",
            ),
            ("{\"run\":\"r\"", "line 1: it is not a JSON object"),
            (
                "{\"run\":\"r\",\"iteration\":1,\"metric\":\"a\",\"value\":1,\"b\":2}",
                "line 1: beside metric and value there is also b",
            ),
        ] {
            let error = text_of(text).unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
