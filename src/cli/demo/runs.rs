//! The runs of the demonstration: what two trainings with their validations write.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::zarr::{self, ZarrVersion};
use crate::model::clock::{Clock, SystemClock};

const DATASETS: [&str; 2] = ["crop7", "crop9"];
const PARAMETERS: [&str; 2] = ["threshold_127", "threshold_200"];

/// Writes what two trainings with their validations write, each iteration dated some weeks back:
/// what was written just now always stays.
pub(super) fn write(base: &Path) -> std::io::Result<()> {
    let runs = [
        ("affinities", ZarrVersion::V2, 4000),
        ("distances", ZarrVersion::V3, 3000),
    ];
    for (run, version, last) in runs {
        let validation = base.join(run).join("validation.zarr");
        for dataset in DATASETS {
            for copy in ["raw", "gt"] {
                let input = validation.join("inputs").join(dataset).join(copy);
                zarr::write(&input, version, 100, written(0))?;
            }
        }
        for iteration in (1000..=last).step_by(1000) {
            let date = written(iteration);
            for dataset in DATASETS {
                let place = validation.join(iteration.to_string()).join(dataset);
                zarr::write(&place.join("prediction"), version, iteration / 20, date)?;
                // One incomplete iteration, for the step that shows which are complete.
                if (iteration, dataset) == (4000, DATASETS[1]) {
                    continue;
                }
                for parameters in PARAMETERS {
                    let output = place.join("output").join(parameters);
                    zarr::write(&output, version, iteration / 30, date)?;
                }
            }
        }
        for array in ["raw", "target", "prediction"] {
            let snapshots = base.join(run).join("snapshot.zarr").join("volumes");
            // DaCapo keeps one snapshot per run in a container of its own.
            zarr::write(&snapshots.join(array), version, 50, written(last))?;
        }
    }
    Ok(())
}

/// When an iteration was written: 1000 iterations a week, the last ones a week ago.
fn written(iteration: usize) -> SystemTime {
    let days = 35_u64.saturating_sub(iteration as u64 * 7 / 1000);
    let age = Duration::from_secs(days * 24 * 60 * 60);
    let moment = SystemClock.now().minus(age);
    SystemTime::UNIX_EPOCH + Duration::from_millis(moment.0.unsigned_abs())
}
