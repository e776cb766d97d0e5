//! Taking the time of several sides in turn, and what is made of it.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What one side did in one round.
pub(crate) struct Done {
    /// Seconds an operation, or whatever else is measured.
    pub(crate) value: f64,
    /// What was done, as a number that every side must agree on.
    pub(crate) count: u64,
}

impl Done {
    /// Of `operations` that took `time` together.
    pub(crate) fn new(time: Duration, operations: usize, count: u64) -> Self {
        Self {
            value: time.as_secs_f64() / operations.max(1) as f64,
            count,
        }
    }
}

/// One side of a comparison: what it is called, and what it does in a round.
pub(crate) struct Side<'a> {
    pub(crate) name: String,
    run: Box<dyn FnMut(usize) -> Result<Done> + 'a>,
}

impl<'a> Side<'a> {
    pub(crate) fn new(
        name: impl Into<String>,
        run: impl FnMut(usize) -> Result<Done> + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
        }
    }
}

/// The values of the rounds of one side.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Stats {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Stats {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
        Self {
            median: f64::midpoint(at(low), at(high)),
            min: at(0),
            max: at(values.len().saturating_sub(1)),
        }
    }

    /// Of a value that was found once.
    pub(crate) fn single(value: f64) -> Self {
        Self::of(vec![value])
    }
}

/// Runs every side once a round, in an order that turns around with every round.
///
/// # Errors
/// Any error that a side returns; also if the sides did not do the same.
pub(crate) fn compare(rounds: usize, mut sides: Vec<Side<'_>>) -> Result<Vec<Stats>> {
    let mut values = vec![Vec::new(); sides.len()];
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..sides.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        let mut agreed: Option<(String, u64)> = None;
        for index in order {
            let side = &mut sides[index];
            let done = (side.run)(round).map_err(|error| format!("{}: {error}", side.name))?;
            match &agreed {
                Some((name, count)) if *count != done.count => {
                    return Err(format!(
                        "no result: {name} did {count}, {} did {}",
                        side.name, done.count
                    )
                    .into());
                }
                Some(_) => {}
                None => agreed = Some((side.name.clone(), done.count)),
            }
            values[index].push(done.value);
        }
    }
    Ok(values.into_iter().map(Stats::of).collect())
}

/// Runs a command, discards its output, and measures its time.
///
/// # Errors
/// If it cannot be started, or fails.
pub(crate) fn timed(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let time = start.elapsed();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{command:?}: {}: {said}", output.status).into());
    }
    Ok(time)
}

/// Runs a command and gives what it wrote to its stdout, with the time that it took.
///
/// # Errors
/// As [`timed`].
pub(crate) fn output(command: &mut Command) -> Result<(Duration, Vec<u8>)> {
    let start = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let time = start.elapsed();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{command:?}: {}: {said}", output.status).into());
    }
    Ok((time, output.stdout))
}

/// Runs a command and counts the lines that it writes, with the time that it took.
///
/// # Errors
/// As [`timed`].
pub(crate) fn lines(command: &mut Command) -> Result<(Duration, u64)> {
    use std::io::Read;
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let mut stdout = child.stdout.take().ok_or("no pipe")?;
    let mut buffer = vec![0; 1 << 16];
    let mut lines = 0;
    loop {
        let read = stdout.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    let status = child.wait()?;
    let time = start.elapsed();
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok((time, lines))
}
