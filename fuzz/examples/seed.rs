//! Makes a new `seed/base.tar.gz` and `corpus/plan/seed`: a base directory that was in use,
//! as this version of dalsegno leaves it. To be run after a migration is added, in `fuzz/`:
//! `cargo run --example seed`.

#![expect(clippy::unwrap_used, reason = "a seed that cannot be made is not made")]

use std::fs;
use std::path::Path;

use dalsegno::Options;
use dalsegno::model::clock::FixedClock;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::layout;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::model::score;
use dalsegno::retention::{Policy, SelectRules};
use dalsegno::{GcRequest, GcRules};
use dalsegno::{PinSelection, RefreshOptions, RemoveOptions, ScanOptions};
use dalsegno_fuzz::world::{CATALOG, NOW, write};

/// Arrays of the seed.
const ARRAYS: [&str; 12] = [
    "run/a/validation.zarr/1000/crop/prediction",
    "run/a/validation.zarr/1000/crop/output/p1",
    "run/a/validation.zarr/2000/crop/prediction",
    "run/a/validation.zarr/2000/crop/output/p1",
    "run/a/validation.zarr/2000/[mito]/output/p2",
    "run/a/validation.zarr/inputs/crop/raw",
    "run/a/snapshot.zarr/1000/volumes/raw",
    "b/validation.zarr/9000/crop/prediction",
    "b/validation.zarr/9900/crop/prediction",
    "b/validation.zarr/9900/crop/output/p1",
    "b/other.n5/volumes/raw",
    "b/validation.zarr/voi",
];

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    for array in ARRAYS {
        let metadata = format!("{{\"zarr_format\":2,\"shape\":[],\"of\":\"{array}\"}}");
        write(&base.join(array).join(".zarray"), metadata.as_bytes());
        write(&base.join(array).join("0.0"), array.as_bytes());
    }
    write(&base.join("b/checkpoints/iterations/9000"), b"weights");
    let options = Options::new().clock(FixedClock(NOW));
    let (registry, _) = options.create(base).unwrap();
    let key = |path: &str| layout::parse(path).unwrap();
    let kinds = Kind::ALL.to_vec();
    let all = Filter::default().kinds(kinds.clone());
    for array in &ARRAYS[..6] {
        registry.record(&key(array)).unwrap();
    }
    let never = key("run/a/validation.zarr/3000/crop/prediction");
    registry.record(&never).unwrap();
    registry.record(&key("run/a/snapshot.zarr")).unwrap();
    let scan = ScanOptions::default().kinds(kinds);
    registry.scan(scan, &Silent).unwrap();
    let measure = RefreshOptions::new().all(true).measure(true);
    registry.refresh(&all, measure, &Silent).unwrap();
    let noted = "run,iteration,dataset,voi\nrun/a,1000,crop,0.5\nrun/a,2000,crop,0.25\nb,9000,,nan";
    registry.score(&score::parse(noted).unwrap()).unwrap();
    let pinned = PinSelection::Filter(Filter::default().runs(["b"]).iterations([9900.into()]));
    let (name, reason) = ("paper".parse().unwrap(), Some("figure 2"));
    registry.pin(&name, reason, &pinned).unwrap();
    let one = registry.select(&all).unwrap().swap_remove(0);
    let (name, reason) = ("one".parse().unwrap(), Some("by number"));
    let one = PinSelection::Artifacts(vec![one]);
    registry.pin(&name, reason, &one).unwrap();
    for (path, keep) in [
        (
            "run/a/validation.zarr/2000/crop/output/p1",
            TrashKeep::UntilEmptied,
        ),
        ("run/a/validation.zarr/2000/crop/prediction", TrashKeep::No),
    ] {
        let options = RemoveOptions::default().reason("not needed").keep(keep);
        let target = dalsegno::Target::Key(key(path));
        registry.remove_target(&target, &options, &Silent).unwrap();
    }
    let target = dalsegno::Target::Key(key("b/other.n5/volumes/raw"));
    registry.seal(&target).unwrap();
    let request = GcRequest::new(
        Filter::default(),
        GcRules::Policy(
            Policy::default()
                .select(SelectRules::default().kinds(vec![Kind::Prediction]))
                .keep(dalsegno::retention::KeepRules::default().last(1)),
        ),
    )
    .words("--keep-last 1");
    let plan = registry.plan_gc(&request).unwrap().file;
    drop(registry);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(root.join("corpus/plan")).unwrap();
    fs::write(root.join("corpus/plan/seed"), plan.text().unwrap()).unwrap();

    let file = fs::File::create(root.join("seed/base.tar.gz")).unwrap();
    let packed = flate2::write::GzEncoder::new(file, flate2::Compression::best());
    let mut archive = tar::Builder::new(packed);
    for entry in fs::read_dir(base.join(".dalsegno")).unwrap() {
        let path = entry.unwrap().path();
        // SQLite and the queue of writers make their files beside the catalog themselves.
        if path.is_file() && path != base.join(CATALOG) {
            fs::remove_file(path).unwrap();
        }
    }
    pack(&mut archive, base, base);
    archive.into_inner().unwrap().finish().unwrap();
}

/// Packs every file below a folder, without what identifies the machine.
fn pack(archive: &mut tar::Builder<impl std::io::Write>, base: &Path, folder: &Path) {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            pack(archive, base, &path);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        let name = path.strip_prefix(base).unwrap();
        archive
            .append_data(&mut header, name, bytes.as_slice())
            .unwrap();
    }
}
