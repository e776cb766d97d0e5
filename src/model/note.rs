//! Notes: what a process leaves in the inbox if it cannot write the catalog.
//!
//! A note is one line of JSON, so this is a format on disk: fields keep their names, and a line
//! with another number in `v` is of another version. The next command that writes the catalog
//! folds the notes into it. See `store::inbox` for the files.
//!
//! The user that a line names is not believed: the owner of the file wrote it.

use serde::{Deserialize, Serialize};

use crate::model::actor::{Actor, Agent};
use crate::model::clock::Timestamp;
use crate::model::content::ContentHash;
use crate::model::key::Key;
use crate::model::name::{DatasetName, Parameters, RunName};
use crate::model::score::{MetricName, Score, ScoreValue};
use crate::model::size::{ByteCount, Size};

/// The version of the lines that this program writes, and the only one that it reads.
const VERSION: u32 = 1;

/// The longest line, in bytes, with its newline.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// The longest text about the process in a line, in bytes: a command line may have megabytes.
const MAX_TEXT: usize = 4 * 1024;

/// Something that could not be written into the catalog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Note {
    /// The identifier of this key was handed out.
    Record(Key),
    /// The writer says that the data is whole.
    Seal(SealNote),
    /// Writing the data of this key failed: it is not whole.
    Failed(Key),
    /// A value was measured.
    Score(ScoreNote),
}

/// The writer's word that data is whole, with what the data was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SealNote {
    /// What is sealed.
    pub key: Key,
    /// When its data was written, as the look at sealing saw it.
    pub written_at: Timestamp,
    /// Number of bytes.
    pub bytes: u64,
    /// Number of files.
    pub files: u64,
    /// Hash of the contents, if they were read.
    pub content_hash: Option<ContentHash>,
}

impl SealNote {
    /// Makes the note of a seal without a content hash.
    #[must_use]
    pub fn new(key: Key, written_at: Timestamp, size: Size) -> Self {
        Self {
            key,
            written_at,
            bytes: size.bytes.0,
            files: size.files,
            content_hash: None,
        }
    }

    /// Bytes and files.
    #[must_use]
    pub fn size(&self) -> Size {
        Size {
            bytes: ByteCount(self.bytes),
            files: self.files,
        }
    }
}

/// A value that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScoreNote {
    /// Name of the run.
    pub run: RunName,
    /// Iteration of the training.
    pub iteration: i64,
    /// Dataset; `None` if the score is of all datasets.
    pub dataset: Option<DatasetName>,
    /// Parameters; `None` if the score is of all parameter sets.
    pub parameters: Option<Parameters>,
    /// Name of the metric.
    pub metric: MetricName,
    /// The value.
    pub value: ScoreValue,
}

impl From<&Score> for ScoreNote {
    fn from(score: &Score) -> Self {
        Self {
            run: score.run.clone(),
            iteration: score.iteration,
            dataset: score.dataset.clone(),
            parameters: score.parameters.clone(),
            metric: score.metric.clone(),
            value: ScoreValue(score.value),
        }
    }
}

impl From<ScoreNote> for Score {
    fn from(note: ScoreNote) -> Self {
        Self::new(note.run, note.iteration, note.metric, note.value.0)
            .dataset(note.dataset)
            .parameters(note.parameters)
    }
}

/// A note with who left it and when: one line of a file in the inbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NoteLine {
    v: u32,
    /// When it was left.
    pub(crate) at: Timestamp,
    user: String,
    host: String,
    pid: u32,
    command: Option<String>,
    job: Option<String>,
    version: String,
    /// The note.
    #[serde(flatten)]
    pub(crate) note: Note,
}

impl NoteLine {
    /// Makes a line. Long texts about the process are cut.
    #[must_use]
    pub(crate) fn new(at: Timestamp, agent: &Agent, note: Note) -> Self {
        Self {
            v: VERSION,
            at,
            // Cut, because readers refuse a line that is too long.
            user: cut(&agent.actor.user),
            host: cut(&agent.actor.host),
            pid: agent.actor.pid,
            command: agent.command.as_deref().map(cut),
            job: agent.job.as_deref().map(cut),
            version: cut(&agent.version),
            note,
        }
    }

    /// The line as it is in a file, with its newline.
    #[must_use]
    pub(crate) fn to_line(&self) -> Vec<u8> {
        // These types always have JSON. Readers refuse an empty line, so a bug here loses one note.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Reads a line without its newline.
    ///
    /// # Errors
    /// [`ParseNoteError`]. It quotes nothing of the line: the file may be one that the reader of
    /// the message may not read.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, ParseNoteError> {
        #[derive(Deserialize)]
        struct VersionField {
            v: u32,
        }
        // The limit counts the newline, which is not part of `line` here.
        if line.len() >= MAX_LINE {
            return Err(ParseNoteError::Long);
        }
        // The version on its own first: a line of another version may lack fields of this one, and
        // is not damaged.
        let VersionField { v } =
            serde_json::from_slice(line).map_err(|_| ParseNoteError::Damaged)?;
        if v != VERSION {
            return Err(ParseNoteError::Version { found: v });
        }
        serde_json::from_slice(line).map_err(|_| ParseNoteError::Damaged)
    }

    /// Who left it: the process that the line names, as this user.
    #[must_use]
    // Cut again: any program may have written the line, without heed of the limits.
    pub(crate) fn agent(&self, user: String) -> Agent {
        Agent {
            actor: Actor {
                user,
                host: cut(&self.host),
                pid: self.pid,
            },
            command: self.command.as_deref().map(cut),
            job: self.job.as_deref().map(cut),
            version: cut(&self.version),
        }
    }
}

/// A line of the inbox is not a note that this program reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseNoteError {
    /// It is too long.
    #[error("it is longer than {MAX_LINE} bytes")]
    Long,
    /// It is not JSON, lacks a field, or has a name that breaks the rules.
    #[error("it is not a note: JSON with known fields and names that keep the rules")]
    Damaged,
    /// It is of another version.
    #[error("it has version {found}; this program reads version {VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
}

/// The beginning of a text, up to [`MAX_TEXT`] bytes.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> Agent {
        Agent {
            actor: Actor {
                user: "ada".to_owned(),
                host: "node7".to_owned(),
                pid: 12,
            },
            command: Some("python train.py".to_owned()),
            job: None,
            version: "0.1.0".to_owned(),
        }
    }

    fn key() -> Key {
        Key::Prediction {
            run: "mito".parse().unwrap(),
            iteration: 1000,
            dataset: "crop 1".parse().unwrap(),
            container: None,
        }
    }

    /// Every note, with the text that is on disk.
    fn table() -> Vec<(Note, &'static str)> {
        let mut seal = SealNote::new(
            key(),
            Timestamp(1),
            Size {
                bytes: ByteCount(5),
                files: 2,
            },
        );
        let plain = seal.clone();
        seal.content_hash = Some(ContentHash([7; 32]));
        let score = |value| {
            let (run, metric) = ("mito".parse().unwrap(), "voi".parse().unwrap());
            Note::Score(ScoreNote::from(&Score::new(run, 1000, metric, value)))
        };
        vec![
            (
                Note::Record(key()),
                r#""record":{"kind":"prediction","run":"mito","iteration":1000,"dataset":"crop 1"}"#,
            ),
            (
                Note::Seal(plain),
                r#""seal":{"key":{"kind":"prediction","run":"mito","iteration":1000,"dataset":"crop 1"},"written_at":"1970-01-01T00:00:00.001Z","bytes":5,"files":2,"content_hash":null}"#,
            ),
            (
                Note::Failed(key()),
                r#""failed":{"kind":"prediction","run":"mito","iteration":1000,"dataset":"crop 1"}"#,
            ),
            (
                score(0.5),
                r#""score":{"run":"mito","iteration":1000,"dataset":null,"parameters":null,"metric":"voi","value":0.5}"#,
            ),
            (
                score(f64::NAN),
                r#""score":{"run":"mito","iteration":1000,"dataset":null,"parameters":null,"metric":"voi","value":"NaN"}"#,
            ),
            (
                Note::Seal(seal),
                r#""seal":{"key":{"kind":"prediction","run":"mito","iteration":1000,"dataset":"crop 1"},"written_at":"1970-01-01T00:00:00.001Z","bytes":5,"files":2,"content_hash":"0707070707070707070707070707070707070707070707070707070707070707"}"#,
            ),
        ]
    }

    #[test]
    fn every_note_reads_and_writes_the_text_on_disk() {
        let head = r#"{"v":1,"at":"2023-11-14T22:13:20.123Z","user":"ada","host":"node7","pid":12,"command":"python train.py","job":null,"version":"0.1.0","#;
        for (note, text) in table() {
            let line = NoteLine::new(Timestamp(1_700_000_000_123), &agent(), note);
            let written = line.to_line();
            assert_eq!(
                str::from_utf8(&written).unwrap(),
                format!("{head}{text}}}\n")
            );
            let read = NoteLine::parse(&written[..written.len() - 1]).unwrap();
            assert_eq!(read, line);
            assert_eq!(read.agent("ada".to_owned()), agent());
        }
    }

    #[test]
    fn what_is_no_note_is_refused_without_a_word_of_it() {
        let line = NoteLine::new(Timestamp(0), &agent(), Note::Record(key()));
        let text = String::from_utf8(line.to_line()).unwrap();
        let text = text.trim_end();
        let cases = [
            (String::new(), ParseNoteError::Damaged),
            ("secret".to_owned(), ParseNoteError::Damaged),
            (text[..text.len() - 1].to_owned(), ParseNoteError::Damaged),
            (text.replace("mito", "../a"), ParseNoteError::Damaged),
            (
                text.replace("prediction", "secret"),
                ParseNoteError::Damaged,
            ),
            (
                text.replace("\"v\":1", "\"v\":2"),
                ParseNoteError::Version { found: 2 },
            ),
            (
                format!("{text}{}", " ".repeat(MAX_LINE)),
                ParseNoteError::Long,
            ),
            ("[".repeat(10_000), ParseNoteError::Damaged),
        ];
        for (line, expected) in cases {
            let error = NoteLine::parse(line.as_bytes()).unwrap_err();
            assert_eq!(error, expected, "{line}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn a_long_command_line_is_cut() {
        let mut agent = agent();
        agent.command = Some("ä".repeat(MAX_LINE));
        let line = NoteLine::new(Timestamp(0), &agent, Note::Record(key())).to_line();
        assert!(line.len() < MAX_LINE);
        NoteLine::parse(&line[..line.len() - 1]).unwrap();
    }
}
