//! A file with given bytes, for readers that take a path.

use std::path::PathBuf;

/// A file of this process. It is removed on drop.
pub struct Temporary(pub PathBuf);

impl Temporary {
    pub fn holding(bytes: &[u8]) -> Temporary {
        let path = std::env::temp_dir().join(format!("polyarray-fuzz-{}", std::process::id()));
        std::fs::write(&path, bytes).expect("the folder of temporary files is writable");
        Temporary(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}
