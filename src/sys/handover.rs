//! One foster replaced by another in the same process: execve(2) of foster's binary.
//!
//! The process keeps its pid, so its children stay its children, and each signal that is pending stays pending. What the
//! next foster has to know is in a file in memory (memfd_create(2)) that is kept up to date meanwhile: after a fault
//! nothing of foster's state can be trusted, and [`replace`] reads none of it. It makes system calls only
//! (signal-safety(7)), and only those of a process that has not forked. Next: `init/ledger.rs`, which writes the file.
#![allow(unsafe_code, reason = "execve(2) takes pointers, and descriptors are numbers in the file")]

use std::ffi::{CString, OsString, c_char, c_int};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

use foster_core::sorted::SortedSet;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// One entry of the file: what the words mean is the writer's matter, but for [`Word::FIRST_DESCRIPTOR`].
pub type Entry = [u32; WORDS];

/// The words of an entry.
pub const WORDS: usize = 24;

/// The first of the words of an entry that are descriptors, each followed by the low half of its inode's number: of a
/// descriptor that was closed since, the number may be another file's.
pub const FIRST_DESCRIPTOR: usize = 14;

/// An entry that is not used.
pub const UNUSED: Entry = [0; WORDS];

/// No descriptor.
pub const NONE: u32 = u32::MAX;

/// What an earlier foster of this process has left.
#[derive(Debug, Clone, Default)]
pub struct Inheritance {
    /// Why it could not continue.
    pub reason: String,
    /// When the first foster of this process has started ([`monotonic`]).
    pub start: Duration,
    /// When the fault before this one was; zero: there was none.
    pub last_fault: Duration,
    /// The entries that were in use.
    pub entries: Vec<Entry>,
}

/// The file in memory.
#[derive(Debug)]
pub struct Memory(File);

/// The prepared arguments of execve(2).
struct Image {
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
}

/// The variable with the number of the file's descriptor. It is never a program's.
const VARIABLE: &str = "FOSTER_LEDGER";
/// The beginning of the file: the version of the format is its last byte.
const MAGIC: [u8; 8] = *b"foster\0\x02";
/// The magic, the pid, the length of the reason, and two times in nanoseconds: the start, and the last fault.
const HEAD: usize = 32;
/// Where the length of the reason is.
const LENGTH: usize = 12;
/// The most bytes of the reason.
const REASON: usize = 1024;
/// Where the entries begin.
const ENTRIES: u64 = 2048;
/// The size of an entry in bytes.
const SIZE: usize = WORDS * size_of::<u32>();

/// The process that prepared the replacement. A child of it has these values, too, and is not replaced.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// The descriptor of the file.
static FILE: AtomicI32 = AtomicI32::new(-1);
/// Never freed.
static IMAGE: AtomicPtr<Image> = AtomicPtr::new(ptr::null_mut());
/// Whether a fault ends foster now.
static IS_LAST: AtomicBool = AtomicBool::new(false);
/// The soft limit on descriptors that foster was started with, where it has raised it.
static OPEN_FILES: AtomicU64 = AtomicU64::new(u64::MAX);

impl Memory {
    /// A new file, without entries.
    ///
    /// # Errors
    /// memfd_create(2): EMFILE, ENFILE, ENOMEM, ENOSYS.
    pub fn new() -> nix::Result<Memory> {
        memfd_create(c"foster", MFdFlags::MFD_CLOEXEC).map(|file| Memory(File::from(file)))
    }

    /// Writes an entry.
    pub fn write(&self, slot: u32, entry: &Entry) {
        let mut bytes = [0; SIZE];
        for (place, word) in bytes.chunks_exact_mut(size_of::<u32>()).zip(entry) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        // ENOMEM, ENOSPC: what a successor does not know of is an orphan for it, and is ended last.
        let _ = self.0.write_all_at(&bytes, ENTRIES + u64::from(slot) * SIZE as u64);
    }

    /// From now on [`replace`] executes foster's own binary with these arguments, and the next foster gets this file. It
    /// stays open as long as the process.
    pub fn arm(&self, arguments: &[OsString], start: Duration, last_fault: Duration) {
        let pid = std::process::id();
        let [start, last_fault] = [start, last_fault].map(|at| nanoseconds(at).to_le_bytes());
        let head = [&MAGIC[..], &pid.to_le_bytes(), &[0; 4], &start, &last_fault].concat();
        if self.0.write_all_at(&head, 0).is_err() {
            return;
        }
        let variable = format!("{VARIABLE}={}", self.0.as_raw_fd());
        let own =
            arguments.iter().cloned().map(OsString::into_vec).filter_map(|text| CString::new(text).ok());
        let variable = CString::new(variable).ok().into_iter();
        let mut environment = inherited_variables();
        let image = Image {
            arguments: own.map(leak).chain([ptr::null()]).collect(),
            environment: environment.drain(..).chain(variable.map(leak)).chain([ptr::null()]).collect(),
        };
        IMAGE.store(Box::into_raw(Box::new(image)), Ordering::Relaxed);
        FILE.store(self.0.as_raw_fd(), Ordering::Relaxed);
    }
}

fn leak(text: CString) -> *const c_char {
    text.into_raw()
}

/// The time of a clock that is never set (clock_gettime(2)), and common to all programs that this process executes.
pub fn monotonic() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default()
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The variables that this process was started with.
fn inherited_variables() -> Vec<*const c_char> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    let mut variables = Vec::new();
    // SAFETY: foster has one thread, so nothing changes the list meanwhile.
    let mut next = unsafe { environ };
    while !next.is_null() {
        // SAFETY: the list ends with null (environ(7)).
        let variable = unsafe { *next };
        if variable.is_null() {
            break;
        }
        variables.push(variable);
        next = next.wrapping_add(1);
    }
    variables
}

/// The soft limit on descriptors, which the next foster has to find as it was.
pub fn note_open_files(soft: u64) {
    OPEN_FILES.store(soft, Ordering::Relaxed);
}

/// Whether a fault ends foster from now on: it is being shut down, or takes the place of one that had a fault.
pub fn set_last(is_last: bool) {
    IS_LAST.store(is_last, Ordering::Relaxed);
}

/// Whether a fault ends foster.
pub fn is_last() -> bool {
    IS_LAST.load(Ordering::Relaxed)
}

/// This process is the supervisor, and its children are not.
pub fn note_owner() {
    OWNER.store(std::process::id().cast_signed(), Ordering::Relaxed);
}

/// Whether this process is a child of the one that is to be replaced.
pub fn is_child() -> bool {
    std::process::id().cast_signed() != OWNER.load(Ordering::Relaxed) && OWNER.load(Ordering::Relaxed) != 0
}

/// Executes foster's binary in this process, for this reason. Returns only if that is not possible, or not wanted.
pub fn replace(reason: &[u8]) {
    // SAFETY: getpid takes no arguments.
    let pid = unsafe { libc::getpid() };
    let (file, image) = (FILE.load(Ordering::Relaxed), IMAGE.load(Ordering::Relaxed));
    // A fault in what follows, or in the next foster before it can be replaced, ends it.
    if pid != OWNER.load(Ordering::Relaxed) || IS_LAST.swap(true, Ordering::Relaxed) || image.is_null() {
        return;
    }
    write_reason(file, reason);
    keep_descriptors(file);
    keep(file);
    lower_limit();
    // SAFETY: it was made by `arm` and is never freed.
    let image = unsafe { &*image };
    // SAFETY: both lists end with null, and their texts with NUL.
    unsafe { libc::execve(c"/proc/self/exe".as_ptr(), image.arguments.as_ptr(), image.environment.as_ptr()) };
    // Without /proc: the path that foster was executed by.
    // SAFETY: getauxval takes a number; the kernel has put a text that ends with NUL on the stack (getauxval(3)).
    let path = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const c_char;
    if !path.is_null() {
        // SAFETY: as above.
        unsafe { libc::execve(path, image.arguments.as_ptr(), image.environment.as_ptr()) };
    }
}

fn write_reason(file: c_int, reason: &[u8]) {
    let reason = reason.get(..REASON).unwrap_or(reason);
    let length = u32::try_from(reason.len()).unwrap_or_default().to_le_bytes();
    for (bytes, at) in [(&length[..], LENGTH), (reason, HEAD)] {
        let at = libc::off_t::try_from(at).unwrap_or_default();
        // SAFETY: the bytes are valid for reads of their length.
        unsafe { libc::pwrite(file, bytes.as_ptr().cast(), bytes.len(), at) };
    }
}

/// Lets the descriptors of all entries outlive execve(2).
fn keep_descriptors(file: c_int) {
    let (mut piece, mut at) = ([0_u8; SIZE * 64], ENTRIES);
    loop {
        let offset = libc::off_t::try_from(at).unwrap_or(libc::off_t::MAX);
        // SAFETY: the piece is valid for writes of its length.
        let read = unsafe { libc::pread(file, piece.as_mut_ptr().cast(), piece.len(), offset) };
        let Some(read) = usize::try_from(read).ok().filter(|read| *read > 0) else { return };
        for entry in piece.get(..read).unwrap_or_default().chunks_exact(SIZE) {
            descriptors(&parsed(entry)).for_each(|(descriptor, _)| keep(descriptor));
        }
        at += read as u64;
    }
}

fn keep(descriptor: c_int) {
    // SAFETY: fcntl takes numbers; EBADF for one that was closed is harmless.
    unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) };
}

fn lower_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let soft = OPEN_FILES.load(Ordering::Relaxed);
    // SAFETY: the limit is valid for a write.
    if soft == u64::MAX || unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return;
    }
    limit.rlim_cur = soft;
    // SAFETY: the limit is valid for a read.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
}

fn parsed(bytes: &[u8]) -> Entry {
    let mut entry = UNUSED;
    for (word, bytes) in entry.iter_mut().zip(bytes.chunks_exact(size_of::<u32>())) {
        *word = u32::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    entry
}

/// The descriptors of an entry, each with the mark of its file.
fn descriptors(entry: &Entry) -> impl Iterator<Item = (c_int, u32)> {
    let is_used = *entry != UNUSED;
    let pairs = entry
        .iter()
        .skip(FIRST_DESCRIPTOR)
        .step_by(2)
        .zip(entry.iter().skip(FIRST_DESCRIPTOR + 1).step_by(2));
    let pairs = pairs.filter(move |(number, _)| is_used && **number != NONE);
    // 0 to 2 are foster's own streams.
    pairs.map(|(number, mark)| (number.cast_signed(), *mark)).filter(|(number, _)| *number > 2)
}

/// The mark of an open file.
pub fn mark(descriptor: &impl AsRawFd) -> u32 {
    mark_of(descriptor.as_raw_fd()).unwrap_or_default()
}

fn mark_of(descriptor: c_int) -> Option<u32> {
    // SAFETY: a stat of zeros is valid.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is valid for a write.
    let result = unsafe { libc::fstat(descriptor, &raw mut stat) };
    #[expect(clippy::cast_possible_truncation, reason = "the low half tells open files apart")]
    (result == 0).then_some(stat.st_ino as u32)
}

/// Names the process as a start by this name would: that of `/proc/self/exe` is `exe`.
pub fn set_name(name: &str) {
    if let Ok(name) = CString::new(name) {
        // EFAULT cannot be.
        let _ = nix::sys::prctl::set_name(&name);
    }
}

/// Takes what an earlier foster of this process has left, before anything else is opened. Descriptors that it has lost are
/// closed; the others have CLOEXEC again. `None`: this is the first one.
pub fn inherit() -> Option<Inheritance> {
    let number = std::env::var(VARIABLE).ok()?;
    // SAFETY: foster has one thread.
    unsafe { std::env::remove_var(VARIABLE) };
    let number = number.parse::<c_int>().ok().filter(|number| *number > 2 && mark_of(*number).is_some())?;
    // SAFETY: it is open, and nothing of this process has opened a file yet.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(number) });
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, 0).ok()?;
    let (is_magic, rest) = (head.starts_with(&MAGIC), head.get(MAGIC.len()..)?);
    let word = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).ok();
    let (pid, length) = (word(rest.get(..4)?)?, word(rest.get(4..8)?)?);
    let time =
        |bytes: &[u8]| bytes.try_into().map(|bytes| Duration::from_nanos(u64::from_le_bytes(bytes))).ok();
    let (start, last_fault) = (time(rest.get(8..16)?)?, time(rest.get(16..24)?)?);
    if !is_magic || pid != std::process::id() {
        return None;
    }
    let mut reason = vec![0; usize::try_from(length).ok()?.min(REASON)];
    file.read_exact_at(&mut reason, HEAD as u64).ok()?;
    let (mut entries, mut bytes, mut at) = (Vec::new(), [0; SIZE], ENTRIES);
    while file.read_exact_at(&mut bytes, at).is_ok() {
        let entry = parsed(&bytes);
        if entry != UNUSED {
            entries.push(entry);
        }
        at += SIZE as u64;
    }
    close_lost(&mut entries);
    Some(Inheritance { reason: String::from_utf8_lossy(&reason).into_owned(), start, last_fault, entries })
}

/// Closes the descriptors that were another file's by the end, and forgets them.
fn close_lost(entries: &mut [Entry]) {
    let mut held: SortedSet<c_int> = SortedSet::new();
    for entry in entries.iter_mut() {
        for at in (FIRST_DESCRIPTOR..WORDS).step_by(2) {
            let Some([number, mark]) = entry.get_mut(at..at + 2) else { continue };
            let descriptor = number.cast_signed();
            let is_held = descriptor > 2 && mark_of(descriptor) == Some(*mark) && !held.contains(&descriptor);
            if is_held {
                held.insert(descriptor);
                // SAFETY: fcntl takes numbers.
                unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
            }
        }
    }
    for entry in entries {
        for at in (FIRST_DESCRIPTOR..WORDS).step_by(2) {
            let Some([number, mark]) = entry.get_mut(at..at + 2) else { continue };
            let descriptor = number.cast_signed();
            if descriptor > 2 && mark_of(descriptor).is_some_and(|found| found != *mark) {
                if !held.contains(&descriptor) {
                    // SAFETY: nothing of this process has it.
                    unsafe { libc::close(descriptor) };
                }
                *number = NONE;
            }
        }
    }
}

impl Inheritance {
    /// Takes a descriptor out of an entry: the first, the second …
    pub fn take(entry: &mut Entry, which: usize) -> Option<OwnedFd> {
        let number = entry.get_mut(FIRST_DESCRIPTOR + 2 * which)?;
        let descriptor = std::mem::replace(number, NONE).cast_signed();
        if descriptor <= 2 || mark_of(descriptor).is_none() {
            return None;
        }
        // SAFETY: it is open, the entry was its owner, and has it no longer.
        Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
    }
}
