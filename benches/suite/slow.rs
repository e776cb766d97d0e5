//! Rows about unlinking on a disk whose every call takes a millisecond, as on a network file
//! system.
//!
//! A FUSE file system passes every call on to a folder on the disk, after it has waited. Calls wait
//! beside each other, as on a server. The kernel keeps names and attributes for a second, as NFS
//! does. Both sides go through it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, InitFlags, KernelConfig, LockOwner, MountOption, OpenFlags, RenameFlags,
    ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, Request,
};

use crate::Bench;
use crate::measure::{Done, Result, Side, compare, timed};
use crate::purges;
use crate::report::{Aim, Row};
use crate::trees::{self, Shape};

/// How long each call takes.
const LATENCY: Duration = Duration::from_millis(1);
/// How long the kernel may cache an answer.
const BELIEF: Duration = Duration::from_secs(1);
/// Calls that wait beside each other.
const THREADS: usize = 40;

/// The entries of a folder: inode, type, name.
type Listing = Vec<(u64, FileType, OsString)>;

/// A folder, seen through calls that take long.
struct Slow {
    root: PathBuf,
    /// Where each inode that the kernel knows was last seen: folder and name.
    places: Mutex<HashMap<u64, (u64, OsString)>>,
    listings: Mutex<HashMap<u64, Listing>>,
    files: Mutex<HashMap<u64, File>>,
    next: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kind(file: fs::FileType) -> FileType {
    FileType::from_std(file).unwrap_or(FileType::RegularFile)
}

impl Slow {
    fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            places: Mutex::default(),
            listings: Mutex::default(),
            files: Mutex::default(),
            next: AtomicU64::new(1),
        }
    }

    fn path(&self, inode: INodeNo) -> PathBuf {
        let places = lock(&self.places);
        let mut names = Vec::new();
        let mut inode = inode.0;
        while let Some((folder, name)) = places.get(&inode) {
            names.push(name.clone());
            inode = *folder;
        }
        drop(places);
        let mut path = self.root.clone();
        path.extend(names.iter().rev());
        path
    }

    /// The path on disk of a name in a folder; waits first, as every call does.
    fn at(&self, folder: INodeNo, name: &OsStr) -> PathBuf {
        std::thread::sleep(LATENCY);
        self.path(folder).join(name)
    }

    fn waited(&self, inode: INodeNo) -> PathBuf {
        std::thread::sleep(LATENCY);
        self.path(inode)
    }

    fn attributes(&self, metadata: &Metadata) -> FileAttr {
        let time = |seconds: i64| {
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or_default())
        };
        FileAttr {
            ino: INodeNo(metadata.ino()),
            size: metadata.size(),
            blocks: metadata.blocks(),
            atime: time(metadata.atime()),
            mtime: time(metadata.mtime()),
            ctime: time(metadata.ctime()),
            crtime: SystemTime::UNIX_EPOCH,
            kind: kind(metadata.file_type()),
            perm: (metadata.mode() & 0o7777) as u16,
            nlink: metadata.nlink() as u32,
            uid: metadata.uid(),
            gid: metadata.gid(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    fn entry(&self, folder: INodeNo, name: &OsStr, path: &Path, reply: ReplyEntry) {
        match fs::symlink_metadata(path) {
            Ok(metadata) => {
                lock(&self.places).insert(metadata.ino(), (folder.0, name.to_owned()));
                reply.entry(&BELIEF, &self.attributes(&metadata), Generation(0));
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn handle(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

fn done(result: io::Result<()>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error.into()),
    }
}

impl Filesystem for Slow {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Not every kernel has it; without, lookups in one folder wait for each other.
        let _ = config.add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let path = self.at(parent, name);
        self.entry(parent, name, &path, reply);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match fs::symlink_metadata(self.waited(ino)) {
            Ok(metadata) => {
                let mut attributes = self.attributes(&metadata);
                attributes.ino = ino;
                reply.attr(&BELIEF, &attributes);
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match fs::read_link(self.waited(ino)) {
            Ok(target) => reply.data(target.as_os_str().as_encoded_bytes()),
            Err(error) => reply.error(error.into()),
        }
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let path = self.at(parent, name);
        match fs::create_dir(&path) {
            Ok(()) => self.entry(parent, name, &path, reply),
            Err(error) => reply.error(error.into()),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(fs::remove_file(self.at(parent, name)), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(fs::remove_dir(self.at(parent, name)), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = (self.at(parent, name), self.path(newparent).join(newname));
        let moved = fs::symlink_metadata(&from).and_then(|metadata| {
            fs::rename(&from, &to)?;
            lock(&self.places).insert(metadata.ino(), (newparent.0, newname.to_owned()));
            Ok(())
        });
        done(moved, reply);
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let writes = flags.0 & libc::O_ACCMODE != libc::O_RDONLY;
        match OpenOptions::new()
            .read(true)
            .write(writes)
            .open(self.waited(ino))
        {
            Ok(file) => {
                let handle = self.handle();
                lock(&self.files).insert(handle, file);
                reply.opened(FileHandle(handle), FopenFlags::empty());
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn read(
        &self,
        _: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        std::thread::sleep(LATENCY);
        let mut buffer = vec![0; size as usize];
        let files = lock(&self.files);
        let Some(file) = files.get(&fh.0) else {
            return reply.error(Errno::EBADF);
        };
        match file.read_at(&mut buffer, offset) {
            Ok(read) => reply.data(&buffer[..read]),
            Err(error) => reply.error(error.into()),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        lock(&self.files).remove(&fh.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        std::thread::sleep(LATENCY);
        reply.ok();
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let listed = fs::read_dir(self.waited(ino)).and_then(|entries| {
            let mut listing = vec![
                (ino.0, FileType::Directory, OsString::from(".")),
                (ino.0, FileType::Directory, OsString::from("..")),
            ];
            for entry in entries {
                let entry = entry?;
                let inode = std::os::unix::fs::DirEntryExt::ino(&entry);
                listing.push((inode, kind(entry.file_type()?), entry.file_name()));
            }
            Ok(listing)
        });
        match listed {
            Ok(listing) => {
                let handle = self.handle();
                lock(&self.listings).insert(handle, listing);
                reply.opened(FileHandle(handle), FopenFlags::empty());
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        std::thread::sleep(LATENCY);
        let listings = lock(&self.listings);
        let Some(listing) = listings.get(&fh.0) else {
            return reply.error(Errno::EBADF);
        };
        for (index, (inode, kind, name)) in listing.iter().enumerate().skip(offset as usize) {
            if reply.add(INodeNo(*inode), index as u64 + 1, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        lock(&self.listings).remove(&fh.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        std::thread::sleep(LATENCY);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        std::thread::sleep(LATENCY);
        reply.statfs(1 << 30, 1 << 29, 1 << 29, 1 << 20, 1 << 19, 4096, 255, 4096);
    }
}

fn mount(root: &Path, point: &Path) -> io::Result<BackgroundSession> {
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("slow".to_owned())];
    config.n_threads = Some(THREADS);
    fuser::spawn_mount(Slow::new(root), point, &config)
}

/// Shows a folder through slow calls while something is done.
fn through<T>(root: &Path, point: &Path, act: impl FnOnce() -> Result<T>) -> Result<T> {
    fs::create_dir_all(point)?;
    let session = mount(root, point)?;
    let acted = act();
    session.umount_and_join()?;
    acted
}

fn ours(bench: &Bench, root: &Path, point: &Path, files: usize) -> Result<Done> {
    // Made and thrown away on the disk itself: only the unlinking is to be slow.
    let catalog = root.with_extension("sqlite3");
    Shape::Wide.grow(&purges::array(root), files)?;
    purges::throw_away(bench, root, Some(&catalog))?;
    trees::sync(root)?;
    let time = through(root, point, || {
        let mut command = bench.dalsegno(point);
        command.arg("--catalog").arg(&catalog);
        timed(command.args(["trash", "empty", "--yes", "--quiet"]))
    })?;
    Ok(Done::new(time, 1, purges::left_in_trash(root)? as u64))
}

fn theirs(words: &[&str], root: &Path, point: &Path, files: usize) -> Result<Done> {
    let tree = root.join("tree");
    Shape::Wide.grow(&tree, files)?;
    trees::sync(root)?;
    let time = through(root, point, || {
        timed(
            Command::new(words[0])
                .args(&words[1..])
                .arg(point.join("tree")),
        )
    })?;
    Ok(Done::new(time, 1, u64::from(tree.exists())))
}

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let files = bench.size(2000, 10_000);
    let folder = bench.folder("latency")?;
    let (base, tree) = (folder.path().join("base"), folder.path().join("other"));
    let point = folder.path().join("mount");
    fs::create_dir_all(&tree)?;
    // Whether a mount is allowed here shows when one is tried.
    if let Err(error) = through(&tree, &point, || Ok(())) {
        bench.note(format!(
            "no FUSE file system could be mounted, `latency` is left out: {error}"
        ));
        return Ok(());
    }
    let rmz = bench.tool("rmz").is_some();
    let shared: &Bench = bench;
    let mut sides = vec![
        Side::new("dalsegno", |_| ours(shared, &base, &point, files)),
        Side::new("rm -rf", |_| theirs(&["rm", "-rf"], &tree, &point, files)),
    ];
    if rmz {
        sides.push(Side::new("rmz", |_| theirs(&["rmz"], &tree, &point, files)));
    }
    let names: Vec<String> = sides.iter().map(|side| side.name.clone()).collect();
    let stats = compare(3, sides)?;
    let what = format!("{files} files, 100 a folder, 1 ms a call");
    for (index, name) in names.iter().enumerate().skip(1) {
        let aim = (name == "rm -rf").then_some(Aim::Ratio(1.0 / 8.0));
        let theirs = Some(stats[index]);
        bench.push(Row::new(
            "latency",
            what.as_str(),
            name,
            stats[0],
            theirs,
            aim,
        ));
    }
    Ok(())
}
