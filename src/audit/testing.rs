//! What the tests of this room share.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Setup, Signer};
use crate::time::UnixTime;

/// A directory that goes with the test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rampart-audit-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        super::files::prepare(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A log in `folder` whose files hold a few records each.
pub(super) fn setup(folder: &Folder) -> Arc<Setup> {
    Arc::new(Setup {
        directory: folder.path().to_owned(),
        signer: Signer::generate("api.example.com/audit").unwrap(),
        host: "host-1".to_owned(),
        max_file: 1500,
        max_page: u64::MAX,
        sync: Duration::from_secs(3600),
        checkpoint: Duration::from_secs(3600),
        keep: None,
        clock: Box::new(|| UnixTime(1_795_460_400.0)),
    })
}

/// The text of the book of heads.
pub(super) fn book(folder: &Folder) -> String {
    std::fs::read_to_string(folder.path().join(super::heads::FILE)).unwrap()
}
