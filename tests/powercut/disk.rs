//! A disk that loses what was not flushed, as a file that this process serves through FUSE.
//!
//! The root of the file system is the file itself, so a handful of requests is enough. The kernel
//! does not cache it (`FOPEN_DIRECT_IO`): every write of the loop device arrives here.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::Random;

/// The unit that a cut keeps or loses.
const BLOCK: usize = 4096;
const MOST_WRITE: u32 = 128 << 10;
/// Header of a request, and of the part of a read or write before its data.
const HEADER: usize = 40;

mod opcode {
    pub(super) const FORGET: u32 = 2;
    pub(super) const GETATTR: u32 = 3;
    pub(super) const SETATTR: u32 = 4;
    pub(super) const OPEN: u32 = 14;
    pub(super) const READ: u32 = 15;
    pub(super) const WRITE: u32 = 16;
    pub(super) const RELEASE: u32 = 18;
    pub(super) const FSYNC: u32 = 20;
    pub(super) const FLUSH: u32 = 25;
    pub(super) const INIT: u32 = 26;
    pub(super) const INTERRUPT: u32 = 36;
    pub(super) const BATCH_FORGET: u32 = 42;
}

/// The content of the disk.
pub(crate) struct Blocks {
    now: Vec<u8>,
    /// Earlier contents of blocks, one for each write since the last flush.
    before: BTreeMap<usize, Vec<Vec<u8>>>,
    random: Random,
    /// Flushes so far.
    flushes: u64,
}

impl Blocks {
    fn write(&mut self, offset: usize, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        for block in offset / BLOCK..=(offset + data.len() - 1) / BLOCK {
            let old = self.now[block * BLOCK..(block + 1) * BLOCK].to_vec();
            self.before.entry(block).or_default().push(old);
        }
        self.now[offset..offset + data.len()].copy_from_slice(data);
    }

    fn flush(&mut self) {
        self.before.clear();
        self.flushes += 1;
    }

    /// The disk after a power cut now: some part of the unflushed blocks is lost, from none to all,
    /// and a block that was written several times may have any of its versions.
    fn cut(&mut self) -> Vec<u8> {
        let mut disk = self.now.clone();
        let share = self.random.below(101);
        for (block, versions) in &self.before {
            if self.random.below(100) < share {
                let version = usize::try_from(self.random.below(versions.len() as u64)).unwrap();
                disk[block * BLOCK..(block + 1) * BLOCK].copy_from_slice(&versions[version]);
            }
        }
        disk
    }
}

/// A mounted disk.
pub(crate) struct Disk {
    blocks: Arc<Mutex<Blocks>>,
    at: PathBuf,
    server: Option<JoinHandle<()>>,
}

impl Disk {
    /// Serves these contents as the file `at`.
    pub(crate) fn serve(contents: Vec<u8>, at: &Path, seed: u64) -> Self {
        assert_eq!(contents.len() % BLOCK, 0);
        File::create(at).unwrap();
        let device = open_device().unwrap();
        let options = format!(
            "fd={},rootmode=100000,user_id=0,group_id=0,max_read={MOST_WRITE}\0",
            device.as_raw_fd()
        );
        let target = std::ffi::CString::new(at.to_str().unwrap()).unwrap();
        // SAFETY: a plain system call with pointers to strings that end with a zero.
        let mounted = unsafe {
            libc::mount(
                c"disk".as_ptr(),
                target.as_ptr(),
                c"fuse".as_ptr(),
                libc::MS_NOSUID | libc::MS_NODEV,
                options.as_ptr().cast(),
            )
        };
        assert_eq!(mounted, 0, "{}", io::Error::last_os_error());
        let blocks = Arc::new(Mutex::new(Blocks {
            now: contents,
            before: BTreeMap::new(),
            random: Random::new(seed),
            flushes: 0,
        }));
        let served = Arc::clone(&blocks);
        let server = std::thread::spawn(move || serve(device, &served));
        Self {
            blocks,
            at: at.to_owned(),
            server: Some(server),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the disk as a power cut would leave it to a file.
    pub(crate) fn cut(&self, to: &Path) {
        let disk = self.lock().cut();
        std::fs::write(to, disk).unwrap();
    }

    pub(crate) fn flushes(&self) -> u64 {
        self.lock().flushes
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .args(["-l".as_ref(), self.at.as_os_str()])
            .status();
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

pub(crate) fn open_device() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/fuse")
}

/// Answers requests until the file system is unmounted.
fn serve(mut device: File, blocks: &Mutex<Blocks>) {
    let mut request = vec![0; MOST_WRITE as usize + (64 << 10)];
    loop {
        match device.read(&mut request) {
            Ok(length) if length >= HEADER => {
                let number = |at: usize| {
                    u32::from_le_bytes(request[at..at + 4].try_into().unwrap_or_default())
                };
                let (code, unique) = (number(4), request[8..16].to_vec());
                let mut blocks = blocks.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(result) = handle(&mut blocks, code, &request[HEADER..length]) else {
                    continue;
                };
                drop(blocks);
                let (error, payload) = match result {
                    Ok(payload) => (0, payload),
                    Err(errno) => (-errno, Vec::new()),
                };
                let length = u32::try_from(16 + payload.len()).unwrap();
                let mut reply = length.to_le_bytes().to_vec();
                reply.extend(error.to_le_bytes());
                reply.extend(unique);
                reply.extend(payload);
                // A request that was cancelled takes no answer.
                let _ = device.write(&reply);
            }
            Ok(_) => return,
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A request that was cancelled before it was read.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(_) => return,
        }
    }
}

/// The answer to a request; `None` if the kernel expects none.
fn handle(blocks: &mut Blocks, code: u32, body: &[u8]) -> Option<Result<Vec<u8>, i32>> {
    let small = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().unwrap());
    let large = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().unwrap());
    let offset = || usize::try_from(large(8)).unwrap();
    Some(match code {
        opcode::INIT => Ok(init(small(4))),
        opcode::GETATTR | opcode::SETATTR => Ok(attributes(blocks.now.len() as u64)),
        // A handle, and FOPEN_DIRECT_IO.
        opcode::OPEN => Ok([1_u64.to_le_bytes(), 1_u64.to_le_bytes()].concat()),
        opcode::READ => {
            let start = offset().min(blocks.now.len());
            let end = (start + small(16) as usize).min(blocks.now.len());
            Ok(blocks.now[start..end].to_vec())
        }
        opcode::WRITE => {
            let data = &body[HEADER..HEADER + small(16) as usize];
            if offset() + data.len() > blocks.now.len() {
                return Some(Err(libc::EFBIG));
            }
            blocks.write(offset(), data);
            Ok((data.len() as u64).to_le_bytes().to_vec())
        }
        opcode::FSYNC => {
            blocks.flush();
            Ok(Vec::new())
        }
        opcode::FLUSH | opcode::RELEASE => Ok(Vec::new()),
        opcode::FORGET | opcode::BATCH_FORGET | opcode::INTERRUPT => return None,
        _ => Err(libc::ENOSYS),
    })
}

/// Version 7.31 of the protocol, or what the kernel has; writes of up to [`MOST_WRITE`].
fn init(minor: u32) -> Vec<u8> {
    let big_writes = 1_u32 << 5;
    let mut reply = Vec::new();
    for number in [7, minor.min(31), MOST_WRITE, big_writes] {
        reply.extend(number.to_le_bytes());
    }
    // Requests in the background, and when the kernel slows down.
    reply.extend([16_u16.to_le_bytes(), 12_u16.to_le_bytes()].concat());
    // Then the granularity of times; the rest is zero.
    for number in [MOST_WRITE, 1] {
        reply.extend(number.to_le_bytes());
    }
    reply.resize(64, 0);
    reply
}

/// A regular file of this size, valid for an hour.
fn attributes(size: u64) -> Vec<u8> {
    let mut reply = Vec::new();
    // The time that it is valid; then inode, size, blocks and three times.
    for number in [3600, 0, 1, size, size / 512, 0, 0, 0] {
        reply.extend(number.to_le_bytes());
    }
    // Nanoseconds of three times, mode, links, owner, group, device, block size, flags.
    let mode = 0o100_600;
    for number in [0, 0, 0, mode, 1, 0, 0, 0, BLOCK as u32, 0_u32] {
        reply.extend(number.to_le_bytes());
    }
    reply
}
