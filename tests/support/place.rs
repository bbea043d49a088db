use std::{
    fs,
    net::{Ipv4Addr, SocketAddrV4},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU8, Ordering},
};

use super::Tree;

/// Where one test's servers live: a directory of the tree and a loopback address, both of their own.
///
/// The address takes the place of free ports: as nobody else listens on it, every server can have its port
/// written down beforehand, and no other test can take it first.
#[derive(Debug)]
pub struct Place {
    tree: Tree,
    /// As the servers see it, from inside the tree.
    inside: String,
    address: Ipv4Addr,
}

impl Place {
    pub fn new(tree: &Tree) -> Self {
        static PLACES: AtomicU8 = AtomicU8::new(1);
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        assert_ne!(number, 255, "a test program has 254 loopback addresses at most");
        let pid = process::id();
        let [_, _, high, low] = pid.to_be_bytes();

        sweep(tree);
        let place = Self {
            tree: tree.clone(),
            inside: format!("/srv/gp/{pid}-{number}"),
            // 127.0 stays free for everybody else.
            address: Ipv4Addr::new(127, high | 1, low, number),
        };
        fs::create_dir_all(place.outside("")).unwrap();
        place
    }

    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    pub fn port(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, port)
    }

    /// A path in this place for the servers in the tree.
    pub fn inside(&self, path: &str) -> String {
        format!("{}/{path}", self.inside)
    }

    /// The same path for gatepost and the test, which are outside.
    pub fn outside(&self, path: &str) -> PathBuf {
        self.tree.root().join(self.inside.trim_start_matches('/')).join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.outside(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What a file holds by now; nothing when it is not there yet.
    pub fn read(&self, path: &str) -> String {
        fs::read(self.outside(path))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Makes a directory with an owner of the tree's numbers.
    pub fn dir(&self, path: &str, mode: u32, uid: u32, gid: u32) {
        let path = self.outside(path);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(uid), Some(gid)).unwrap();
    }

    /// A file of `conf.d/peers`, as it is.
    pub fn snippet(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf.d/peers").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in logs_below(&self.outside("")) {
                let text = fs::read(&log)
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                    .unwrap_or_default();
                eprintln!("--- {}\n{text}", log.display());
            }
        }
        let _ = fs::remove_dir_all(self.outside(""));
    }
}

fn logs_below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
}

/// Removes what tests that were killed have left.
fn sweep(tree: &Tree) {
    for entry in fs::read_dir(tree.root().join("srv/gp")).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let Some((pid, _)) = name.split_once('-') else { continue };
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
