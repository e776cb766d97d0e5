//! Identifiers and artifacts as frozen Python objects, and everything else as plain dictionaries.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use dalsegno::model::array::{ArrayMetadata, ChunkSet};
use dalsegno::model::artifact::{Artifact, ArtifactId, Origin};
use dalsegno::model::clock::Timestamp;
use dalsegno::model::key::{Key, Kind};
use dalsegno::model::layout::{SNAPSHOT_CONTAINER, VALIDATION_CONTAINER};
use dalsegno::model::size::{ByteCount, Size};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use serde::Serialize;
use serde_json::Value;

use crate::errors::argument;

/// A path as text that shows everything: for `str()`.
fn shown(path: &Path) -> String {
    // Nothing is lost: a base directory that is not UTF-8 is refused.
    path.display().to_string()
}

/// An array: a container and the dataset in it.
#[pyclass(
    frozen,
    eq,
    ord,
    hash,
    name = "LocalArrayIdentifier",
    module = "dalsegno"
)]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ArrayIdentifier(pub(crate) dalsegno::LocalArrayIdentifier);

#[pymethods]
impl ArrayIdentifier {
    #[new]
    fn new(container: PathBuf, dataset: String) -> Self {
        Self(dalsegno::LocalArrayIdentifier { container, dataset })
    }

    #[getter]
    fn container(&self) -> &Path {
        &self.0.container
    }

    #[getter]
    fn dataset(&self) -> &str {
        &self.0.dataset
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.0.path()
    }

    fn __fspath__(&self) -> String {
        shown(&self.0.path())
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        let (container, dataset) = (shown(&self.0.container), &self.0.dataset);
        format!("LocalArrayIdentifier(container={container:?}, dataset={dataset:?})")
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        // The class and its arguments, so that a pickle needs nothing private.
        let made = (self.0.container.as_path(), self.0.dataset.as_str());
        (py.get_type::<Self>(), made).into_pyobject(py)
    }
}

/// A container: a zarr or N5 folder that holds arrays.
#[pyclass(
    frozen,
    eq,
    ord,
    hash,
    name = "LocalContainerIdentifier",
    module = "dalsegno"
)]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ContainerIdentifier(pub(crate) dalsegno::LocalContainerIdentifier);

#[pymethods]
impl ContainerIdentifier {
    #[new]
    fn new(container: PathBuf) -> Self {
        Self(dalsegno::LocalContainerIdentifier { container })
    }

    #[getter]
    fn container(&self) -> &Path {
        &self.0.container
    }

    #[getter]
    fn path(&self) -> &Path {
        &self.0.container
    }

    fn array_identifier(&self, dataset: String) -> ArrayIdentifier {
        ArrayIdentifier(self.0.array_identifier(dataset))
    }

    fn __fspath__(&self) -> String {
        shown(&self.0.container)
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!(
            "LocalContainerIdentifier(container={:?})",
            shown(&self.0.container)
        )
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (py.get_type::<Self>(), (self.0.container.as_path(),)).into_pyobject(py)
    }
}

/// The first and the last moment in the range of `datetime`; milliseconds since 1970.
const MOMENTS: (i64, i64) = (-62_135_596_800_000, 253_402_300_799_999);

/// A moment as an aware `datetime` in UTC. One out of its range becomes the nearest in it: file
/// systems give out years of five digits, and a listing needs the rest of the row.
fn moment<'py>(py: Python<'py>, at: Timestamp) -> PyResult<Bound<'py, PyAny>> {
    let at = at.0.clamp(MOMENTS.0, MOMENTS.1);
    // What PyO3 makes of a moment before 1970 is a panic.
    let epoch = UNIX_EPOCH.into_bound_py_any(py)?;
    let apart = Duration::from_millis(at.unsigned_abs());
    match at < 0 {
        true => epoch.sub(apart),
        false => epoch.add(apart),
    }
}

fn moment_if<'py>(py: Python<'py>, at: Option<Timestamp>) -> PyResult<Option<Bound<'py, PyAny>>> {
    at.map(|at| moment(py, at)).transpose()
}

/// The number of an artifact that is only noted for a catalog on another host. No row has it, and
/// Python sees `None`.
pub(crate) const NOTED: ArtifactId = ArtifactId(0);

/// An artifact: an array or a container that the catalog has a row for.
#[pyclass(frozen, eq, name = "Artifact", module = "dalsegno")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PyArtifact(pub(crate) Artifact);

/// What is known of the chunks of an array, as JSON in [`Parts`].
type OfArray = (Option<ArrayMetadata>, Option<u64>, Option<ChunkSet>);

/// What an artifact is made of, to be pickled.
type Parts = (
    String,
    i64,
    String,
    String,
    Option<(u64, u64)>,
    (i64, Option<i64>, Option<i64>),
    Option<u32>,
    Vec<String>,
    (PathBuf, Option<String>, String),
    (Option<u64>, Vec<String>, Vec<i64>),
);

#[pymethods]
impl PyArtifact {
    #[getter]
    fn id(&self) -> Option<i64> {
        (self.0.id != NOTED).then_some(self.0.id.0)
    }

    #[getter]
    fn run(&self) -> &str {
        self.0.key.run().as_str()
    }

    #[getter]
    fn kind(&self) -> &'static str {
        self.0.key.kind().as_str()
    }

    #[getter]
    fn iteration(&self) -> Option<i64> {
        self.0.key.iteration()
    }

    #[getter]
    fn dataset(&self) -> Option<&str> {
        self.0.key.dataset().map(|dataset| dataset.as_str())
    }

    #[getter]
    fn parameters(&self) -> Option<&str> {
        self.0
            .key
            .parameters()
            .map(|parameters| parameters.as_str())
    }

    #[getter]
    fn container(&self) -> ContainerIdentifier {
        ContainerIdentifier(self.0.container())
    }

    #[getter]
    fn identifier(&self) -> Option<ArrayIdentifier> {
        self.0.identifier().map(ArrayIdentifier)
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.0.path()
    }

    #[getter]
    fn state(&self) -> &'static str {
        self.0.state.as_str()
    }

    #[getter]
    fn origin(&self) -> &'static str {
        self.0.origin.as_str()
    }

    #[getter]
    fn bytes(&self) -> Option<u64> {
        self.0.size.map(|size| size.bytes.0)
    }

    #[getter]
    fn files(&self) -> Option<u64> {
        self.0.size.map(|size| size.files)
    }

    #[getter]
    fn recorded_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        moment(py, self.0.recorded_at)
    }

    #[getter]
    fn written_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        moment_if(py, self.0.written_at)
    }

    #[getter]
    fn sealed_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        moment_if(py, self.0.sealed_at)
    }

    #[getter]
    fn content_hash(&self) -> Option<String> {
        self.0.content_hash.map(|hash| hash.to_string())
    }

    #[getter]
    fn disk_bytes(&self) -> Option<u64> {
        self.0.disk_bytes.map(|bytes| bytes.0)
    }

    #[getter]
    fn levels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        // A tuple, because the object is frozen and can be hashed.
        PyTuple::new(py, &self.0.levels)
    }

    #[getter]
    fn iterations<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.iterations)
    }

    #[getter]
    fn owner(&self) -> Option<u32> {
        self.0.owner
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        axes(py, self.says().and_then(|it| it.shape.as_ref()))
    }

    #[getter]
    fn chunks<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        axes(py, self.says().and_then(|it| it.chunks.as_ref()))
    }

    #[getter]
    fn shards<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        axes(py, self.says().and_then(|it| it.shards.as_ref()))
    }

    #[getter]
    fn dtype(&self) -> Option<String> {
        self.says()?.dtype.clone()
    }

    #[getter]
    fn fill_value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // The catalog keeps it as JSON: a number, a text such as "NaN", or a list.
        let text = self.says().and_then(|it| it.fill_value.as_ref());
        let value = text.and_then(|text| serde_json::from_str(text).ok());
        object(py, &value.unwrap_or(Value::Null))
    }

    #[getter]
    fn compressor(&self) -> Option<String> {
        self.says()?.compressor.clone()
    }

    #[getter]
    fn chunks_there(&self) -> Option<u64> {
        self.0.chunks_there
    }

    #[getter]
    fn chunks_expected(&self) -> Option<u64> {
        self.0.chunks_expected()
    }

    #[getter]
    fn pins<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.pins)
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let fields = plain(py, &self.0)?;
        if self.0.id == NOTED {
            fields.set_item("id", py.None())?;
        }
        Ok(fields)
    }

    fn __fspath__(&self) -> String {
        shown(&self.0.path())
    }

    fn __str__(&self) -> String {
        shown(&self.0.path())
    }

    fn __repr__(&self) -> String {
        let artifact = &self.0;
        let mut words = vec![match self.id() {
            Some(_) => artifact.state.to_string(),
            None => "noted".to_owned(),
        }];
        if let Some(metadata) = self.says() {
            let shape = metadata.shape.iter().flatten().map(u64::to_string);
            let shape = shape.collect::<Vec<_>>().join(" × ");
            let dtype = metadata.dtype.as_deref().unwrap_or_default();
            words.push(format!("{shape} {dtype}").trim().to_owned());
        }
        words.extend(artifact.size.map(|size| size.bytes.to_string()));
        if !artifact.pins.is_empty() {
            words.push(format!("pinned by {}", artifact.pins.join(", ")));
        }
        words.retain(|word| !word.is_empty());
        let container = beside_usual(artifact).map(|name| format!(", container {name}"));
        let container = container.unwrap_or_default();
        let id = self.id().map(|id| format!(" {id}")).unwrap_or_default();
        format!(
            "<Artifact{id}: {}{container}, {}>",
            artifact.key,
            words.join(", ")
        )
    }

    /// For fsspec, which takes the path as it is spelled.
    #[getter]
    fn url(&self) -> String {
        format!("file://{}", shown(&self.0.path()))
    }

    /// Opens the zarr array, by the zarr that is installed; of a container or a pyramid the group.
    #[pyo3(signature = (mode="r", *, level=None))]
    fn open<'py>(
        slf: &Bound<'py, Self>,
        mode: &str,
        level: Option<i64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let opening = slf.py().import("dalsegno._opening")?;
        opening.call_method1("open", (slf, mode, level))
    }

    /// Gives the array as a dask array, with the chunks that it has on disk.
    #[pyo3(signature = (level=0))]
    fn to_dask<'py>(slf: &Bound<'py, Self>, level: i64) -> PyResult<Bound<'py, PyAny>> {
        let opening = slf.py().import("dalsegno._opening")?;
        opening.call_method1("to_dask", (slf, level))
    }

    /// Gives the array as a `DataArray`: lazily if dask is installed, else read as a whole.
    #[pyo3(signature = (level=0))]
    fn to_xarray<'py>(slf: &Bound<'py, Self>, level: i64) -> PyResult<Bound<'py, PyAny>> {
        let opening = slf.py().import("dalsegno._opening")?;
        opening.call_method1("to_xarray", (slf, level))
    }

    /// A table for notebooks.
    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let showing = slf.py().import("dalsegno._showing")?;
        showing.call_method1("of_artifact", (slf,))
    }

    fn __hash__(&self) -> u64 {
        // Equal artifacts have these in common; the rest would only cost time.
        let mut hasher = DefaultHasher::new();
        (self.0.id, &self.0.key, &self.0.base).hash(&mut hasher);
        hasher.finish()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let at = |at: Timestamp| at.0;
        let artifact = &self.0;
        // Nested, because PyO3 converts tuples of at most twelve fields.
        let parts: Parts = (
            serde_json::to_string(&artifact.key).map_err(argument)?,
            artifact.id.0,
            artifact.state.as_str().to_owned(),
            artifact.origin.as_str().to_owned(),
            artifact.size.map(|size| (size.bytes.0, size.files)),
            (
                artifact.recorded_at.0,
                artifact.written_at.map(at),
                artifact.sealed_at.map(at),
            ),
            artifact.owner,
            artifact.pins.clone(),
            (
                artifact.base.to_path_buf(),
                artifact.content_hash.map(|hash| hash.to_string()),
                serde_json::to_string(&(
                    artifact.metadata.as_deref(),
                    artifact.chunks_there,
                    &artifact.sealed_chunks,
                ))
                .map_err(argument)?,
            ),
            (
                artifact.disk_bytes.map(|bytes| bytes.0),
                artifact.levels.clone(),
                artifact.iterations.clone(),
            ),
        );
        // A function of its own: only the catalog makes artifacts, so the class has no constructor.
        let maker = py.import("dalsegno._native")?.getattr("_artifact")?;
        (maker, (parts,)).into_pyobject(py)
    }
}

impl PyArtifact {
    fn says(&self) -> Option<&ArrayMetadata> {
        self.0.metadata.as_deref()
    }
}

/// Name of an array's container in its run, if neither its kind nor its key says it.
fn beside_usual(artifact: &Artifact) -> Option<String> {
    let usual = match artifact.key.kind() {
        // The key says it, or there is only one.
        Kind::Prediction | Kind::Output | Kind::Checkpoint => return None,
        Kind::Array => None,
        Kind::Snapshot => Some(SNAPSHOT_CONTAINER),
        _ => Some(VALIDATION_CONTAINER),
    };
    let place = artifact.location();
    place.array?;
    let run = artifact.key.run().as_str();
    let name = place.container.strip_prefix(run)?.strip_prefix('/')?;
    (Some(name) != usual).then(|| name.to_owned())
}

/// Lengths along the axes.
fn axes<'py>(py: Python<'py>, lengths: Option<&Vec<u64>>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    lengths.map(|lengths| PyTuple::new(py, lengths)).transpose()
}

/// Makes an artifact of its pickled parts.
#[pyfunction]
pub(crate) fn _artifact(parts: Parts) -> PyResult<PyArtifact> {
    let (key, id, state, origin, size, times, owner, pins, at, seen) = parts;
    let (recorded_at, written_at, sealed_at) = times;
    let (disk_bytes, levels, iterations) = seen;
    let (base, content_hash, of_array) = at;
    // Everything is checked again, because a pickle may come from anywhere.
    let key: Key = serde_json::from_str(&key).map_err(argument)?;
    let id = ArtifactId(id);
    let mut artifact = Artifact::new(id, key, Timestamp(recorded_at), base);
    artifact.state = state.parse().map_err(argument)?;
    artifact.origin = match origin.as_str() {
        "scanned" => Origin::Scanned,
        _ => Origin::Recorded,
    };
    artifact.size = size.map(|(bytes, files)| Size {
        bytes: ByteCount(bytes),
        files,
    });
    artifact.written_at = written_at.map(Timestamp);
    artifact.sealed_at = sealed_at.map(Timestamp);
    let content_hash = content_hash.map(|text| text.parse().map_err(argument));
    artifact.content_hash = content_hash.transpose()?;
    let of_array: OfArray = serde_json::from_str(&of_array).map_err(argument)?;
    artifact.metadata = of_array.0.map(Arc::new);
    artifact.chunks_there = of_array.1;
    artifact.sealed_chunks = of_array.2;
    artifact.owner = owner;
    artifact.pins = pins;
    artifact.disk_bytes = disk_bytes.map(ByteCount);
    artifact.levels = levels;
    artifact.iterations = iterations;
    Ok(PyArtifact(artifact))
}

/// A value as the command line writes it with `--json`, in Python's own types.
pub(crate) fn plain<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    // Through the JSON of the command line, so that both have the same fields.
    object(py, &serde_json::to_value(value).map_err(argument)?)
}

fn object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(value) => value.into_bound_py_any(py),
        // Integers first: a float keeps only 53 bits.
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into_bound_py_any(py),
            (None, Some(number)) => number.into_bound_py_any(py),
            (None, None) => number.as_f64().into_bound_py_any(py),
        },
        Value::String(text) => text.into_bound_py_any(py),
        Value::Array(values) => {
            let list = PyList::empty(py);
            for value in values {
                list.append(object(py, value)?)?;
            }
            Ok(list.into_any())
        }
        Value::Object(fields) => {
            let dict = PyDict::new(py);
            for (name, value) in fields {
                dict.set_item(name, object(py, value)?)?;
            }
            Ok(dict.into_any())
        }
    }
}

/// Artifacts as a list of objects.
pub(crate) fn artifacts<'py>(
    py: Python<'py>,
    artifacts: impl IntoIterator<Item = Artifact>,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for artifact in artifacts {
        list.append(PyArtifact(artifact))?;
    }
    Ok(list)
}
