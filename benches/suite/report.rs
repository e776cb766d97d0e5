//! What was measured, as a table for people and as JSON.

use std::path::Path;

use serde::Serialize;

use crate::measure::Stats;

/// What values are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    Seconds,
    Bytes,
    PerSecond,
    Times,
}

/// What a row is to reach.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Aim {
    /// The ratio is at most this.
    Ratio(f64),
    /// The ratio is at least this.
    RatioAtLeast(f64),
    /// The own value is at most this.
    Value(f64),
}

/// One line of the result.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The benchmark that it belongs to.
    pub(crate) name: &'static str,
    pub(crate) what: String,
    pub(crate) against: String,
    pub(crate) unit: Unit,
    pub(crate) ours: Stats,
    pub(crate) theirs: Option<Stats>,
    /// Ratio of the medians.
    pub(crate) ratio: Option<f64>,
    pub(crate) aim: Option<Aim>,
    pub(crate) met: Option<bool>,
}

impl Row {
    pub(crate) fn new(
        name: &'static str,
        what: impl Into<String>,
        against: impl Into<String>,
        ours: Stats,
        theirs: Option<Stats>,
        aim: Option<Aim>,
    ) -> Self {
        let ratio = theirs.map(|theirs| ours.median / theirs.median);
        let met = match (aim, ratio) {
            (Some(Aim::Ratio(most)), Some(ratio)) => Some(ratio <= most),
            (Some(Aim::RatioAtLeast(least)), Some(ratio)) => Some(ratio >= least),
            (Some(Aim::Value(most)), _) => Some(ours.median <= most),
            _ => None,
        };
        Self {
            name,
            what: what.into(),
            against: against.into(),
            unit: Unit::Seconds,
            ours,
            theirs,
            ratio,
            aim,
            met,
        }
    }

    pub(crate) fn unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }
}

/// The machine that it was measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) memory: u64,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) sqlite: String,
    pub(crate) sqlite3: Option<String>,
    pub(crate) program: String,
    /// Mean number of processes that wanted to run in the minute before.
    pub(crate) load: String,
}

impl Machine {
    pub(crate) fn look(data: &Path, program: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let memory = read("/proc/meminfo")
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok())
            .unwrap_or_default();
        let version = |program: &Path, flag: &str| {
            let output = std::process::Command::new(program)
                .arg(flag)
                .output()
                .ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let sqlite3 = version(Path::new("sqlite3"), "--version");
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory * 1024,
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            file_system: file_system(data).unwrap_or_else(|| "unknown".to_owned()),
            sqlite: rusqlite::version().to_owned(),
            sqlite3: sqlite3.and_then(|text| Some(text.split(' ').next()?.to_owned())),
            program: version(program, "--version").unwrap_or_else(|| "unknown".to_owned()),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    pub(crate) fn text(&self) -> String {
        format!(
            "{} cores, {} of memory, Linux {}, data on {}, SQLite {} built in, sqlite3 {}, {}, \
             load {} before the start",
            self.cores,
            bytes(self.memory as f64),
            self.kernel,
            self.file_system,
            self.sqlite,
            self.sqlite3.as_deref().unwrap_or("not installed"),
            self.program,
            self.load,
        )
    }
}

/// The type of the file system that a path lies on.
pub(crate) fn file_system(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let found = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        path.starts_with(point).then_some((point.len(), kind))
    });
    // Of two mounts on one point the later one is to be seen.
    found
        .max_by_key(|(length, _)| *length)
        .map(|(_, kind)| kind.to_owned())
}

fn bytes(value: f64) -> String {
    match value {
        value if value >= 1073741824.0 => format!("{:.1} GiB", value / 1073741824.0),
        value if value >= 1048576.0 => format!("{:.1} MiB", value / 1048576.0),
        value if value >= 10240.0 => format!("{:.1} KiB", value / 1024.0),
        value => format!("{value:.0} B"),
    }
}

fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds if value >= 1.0 => format!("{value:.2} s"),
        Unit::Seconds if value >= 1e-3 => format!("{:.2} ms", value * 1e3),
        Unit::Seconds => format!("{:.2} µs", value * 1e6),
        Unit::Bytes => bytes(value),
        Unit::PerSecond => format!("{value:.0}/s"),
        Unit::Times => format!("{value:.2}"),
    }
}

fn stats(stats: Stats, unit: Unit) -> String {
    let text = |number| value(number, unit);
    if stats.min == stats.max {
        return text(stats.median);
    }
    format!(
        "{} ({}…{})",
        text(stats.median),
        text(stats.min),
        text(stats.max)
    )
}

fn cells(row: &Row) -> [String; 8] {
    let fraction = |number: f64| {
        if number < 0.15 {
            format!("1/{:.0}", 1.0 / number)
        } else {
            format!("{number:.2}")
        }
    };
    let aim = match row.aim {
        Some(Aim::Ratio(most)) => format!("≤ {}", fraction(most)),
        Some(Aim::RatioAtLeast(least)) => format!("≥ {}", fraction(least)),
        Some(Aim::Value(most)) => format!("≤ {}", value(most, row.unit)),
        None => String::new(),
    };
    let met = match row.met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "",
    };
    [
        row.name.to_owned(),
        row.what.clone(),
        row.against.clone(),
        stats(row.ours, row.unit),
        row.theirs
            .map_or_else(String::new, |theirs| stats(theirs, row.unit)),
        row.ratio.map_or_else(String::new, fraction),
        aim,
        met.to_owned(),
    ]
}

/// The table: one line a row, median, lowest and highest of the rounds, ratio of the medians.
pub(crate) fn table(rows: &[Row]) -> String {
    let head = [
        "ROW",
        "WHAT",
        "AGAINST",
        "DALSEGNO",
        "THE OTHER",
        "RATIO",
        "AIM",
        "",
    ];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let mut widths = [0; 8];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let mut out = String::new();
        for (width, cell) in widths.iter().zip(line) {
            out.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(out.trim_end());
        text.push('\n');
    }
    text
}
