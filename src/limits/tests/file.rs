use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A directory that vanishes.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rampart-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    pub fn open(&self, bytes: u64, boot: &str, seed: u8) -> Result<Arc<Store>, crate::error::ConfigError> {
        Store::shared(&self.0, "counters", bytes, boot.as_bytes(), Seed::new([seed; 16])).map(Arc::new)
    }

    fn file(&self) -> PathBuf {
        self.0.join("counters")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SIZE: u64 = 1 << 16;

fn take(store: &Arc<Store>) -> bool {
    Bench::on(store.clone(), &["1/year"]).check(&["a"]).admitted
}

#[test]
fn two_openings_count_together_whatever_their_seeds() {
    let scratch = Scratch::new();
    let (one, other) = (scratch.open(SIZE, "boot", 1).unwrap(), scratch.open(SIZE, "boot", 2).unwrap());
    assert!(take(&one));
    assert!(!take(&other));
    assert_eq!(other.used(HostTime(1_000 * SECOND)), 1);
}

#[test]
fn a_table_outlives_the_processes_that_use_it() {
    let scratch = Scratch::new();
    assert!(take(&scratch.open(SIZE, "boot", 1).unwrap()));
    assert!(!take(&scratch.open(SIZE, "boot", 2).unwrap()));
}

#[test]
fn another_boot_voids_the_counters_of_a_table_that_nobody_uses() {
    let scratch = Scratch::new();
    assert!(take(&scratch.open(SIZE, "boot", 1).unwrap()));
    assert!(take(&scratch.open(SIZE, "next boot", 1).unwrap()));
}

#[test]
fn another_boot_is_refused_while_the_table_is_in_use() {
    let scratch = Scratch::new();
    let user = scratch.open(SIZE, "boot", 1).unwrap();
    let error = scratch.open(SIZE, "a foreign boot", 1).err().unwrap().to_string();
    assert!(error.contains("goes by another clock") && error.contains("stop that process"), "{error}");
    assert!(take(&user));
}

#[test]
fn another_size_waits_until_nobody_uses_the_table() {
    let scratch = Scratch::new();
    let old = scratch.open(SIZE, "boot", 1).unwrap();
    let young = scratch.open(SIZE * 4, "boot", 1).unwrap();
    assert_eq!(young.capacity(), old.capacity());
    assert!(take(&old) && !take(&young), "old and new workers count together");
    drop((old, young));
    assert!(scratch.open(SIZE * 4, "boot", 1).unwrap().capacity() >= 4 * 2600);
}

#[test]
fn a_damaged_or_unfinished_or_truncated_table_is_made_anew_if_nobody_uses_it() {
    let scratch = Scratch::new();
    scratch.open(SIZE, "boot", 1).unwrap();
    let whole = fs::read(scratch.file()).unwrap();
    for offset in [0, 8, 16, 24, 40, 56, 64] {
        let mut damaged = whole.clone();
        damaged[offset] ^= 0x40;
        fs::write(scratch.file(), &damaged).unwrap();
        assert!(take(&scratch.open(SIZE, "boot", 1).unwrap()), "byte {offset}");
    }
    for length in [0, 1, 4095, 4096, whole.len() - 1] {
        fs::write(scratch.file(), &whole[..length]).unwrap();
        assert!(take(&scratch.open(SIZE, "boot", 1).unwrap()), "length {length}");
    }
}

#[test]
fn a_table_cut_short_while_in_use_is_refused_and_not_mapped() {
    let scratch = Scratch::new();
    let _user = scratch.open(SIZE, "boot", 1).unwrap();
    fs::OpenOptions::new().write(true).open(scratch.file()).unwrap().set_len(8192).unwrap();
    assert!(scratch.open(SIZE, "boot", 1).err().unwrap().to_string().contains("damaged"));
}

#[test]
fn the_file_is_allocated_whole_and_stays_so() {
    use std::os::unix::fs::MetadataExt;
    let scratch = Scratch::new();
    let store = scratch.open(SIZE, "boot", 1).unwrap();
    let before = fs::metadata(scratch.file()).unwrap();
    assert!(before.len() <= SIZE && before.blocks() * 512 >= before.len());
    let bench = Bench::on(store.clone(), &["1/year"]);
    for i in 0..20_000 {
        bench.check(&[&i.to_string()]);
    }
    assert_eq!(fs::metadata(scratch.file()).unwrap().len(), before.len());
    let used = store.used(HostTime(bench.now));
    assert!(used <= store.capacity() && used > store.capacity() * 9 / 10, "{used} of {}", store.capacity());
}

#[test]
fn nothing_that_identifies_a_caller_is_in_the_file() {
    let scratch = Scratch::new();
    let store = scratch.open(SIZE, "boot", 1).unwrap();
    Bench::on(store, &["1/year"]).check(&["alice@example.org"]);
    let bytes = fs::read(scratch.file()).unwrap();
    for needle in [&b"alice"[..], b"scope", b"example"] {
        assert!(!bytes.windows(needle.len()).any(|window| window == needle));
    }
}

#[test]
fn sizes_and_names_that_cannot_be_meant_are_refused() {
    let scratch = Scratch::new();
    for bytes in [0, 4096, 1 << 40] {
        assert!(scratch.open(bytes, "boot", 1).err().unwrap().to_string().contains("bytes"));
    }
    for name in ["", ".", "..", "a/b", ".hidden", "a\0b", "ä"] {
        let error = Store::shared(&scratch.0, name, SIZE, b"boot", Seed::new([0; 16])).err().unwrap();
        assert!(error.to_string().contains("cannot name"), "{error}");
    }
    let relative = Store::shared("counters".as_ref(), "x", SIZE, b"boot", Seed::new([0; 16]));
    assert!(relative.err().unwrap().to_string().contains("absolute"));
}

#[test]
fn a_directory_or_file_that_others_may_reach_is_refused() {
    let scratch = Scratch::new();
    fs::create_dir(&scratch.0).unwrap();
    for mode in [0o755, 0o770, 0o701, 0o1777] {
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(mode)).unwrap();
        assert!(scratch.open(SIZE, "boot", 1).err().unwrap().to_string().contains("chmod 0700"));
    }
    fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o700)).unwrap();
    let loose = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(scratch.file()).unwrap();
    loose.set_permissions(fs::Permissions::from_mode(0o644)).unwrap();
    assert!(scratch.open(SIZE, "boot", 1).err().unwrap().to_string().contains("0644"));
}
