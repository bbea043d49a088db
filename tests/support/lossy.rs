use std::{
    collections::HashSet,
    fs,
    io::{Read, Write},
    net::Shutdown,
    os::unix::{
        fs::{PermissionsExt, chown},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// A policy service before another one that loses answers at the end of a mail: it hands the question on, and closes the
/// connection to Postfix, which asks again a second later.
#[derive(Debug)]
pub struct Lossy {
    path: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    to: PathBuf,
    ended: AtomicBool,
    lost: AtomicUsize,
    /// Mails whose end was asked about already.
    known: Mutex<HashSet<String>>,
}

/// What becomes of a question.
enum Fate {
    Answered,
    /// Its answer is waited for, and thrown away.
    Lost,
    /// Nobody waits for its answer.
    Forgotten,
}

impl Lossy {
    /// At `path`, for a group, before the socket at `to`. One mail is lost, one is forgotten, and one is answered, in turns;
    /// who asks again is answered.
    pub fn start(path: &Path, gid: u32, to: PathBuf) -> Self {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).unwrap();
        chown(path, Some(0), Some(gid)).unwrap();
        let shared = Arc::new(Shared {
            to,
            ended: AtomicBool::new(false),
            lost: AtomicUsize::new(0),
            known: Mutex::default(),
        });
        let here = Arc::clone(&shared);
        thread::spawn(move || {
            for near in listener.incoming() {
                if here.ended.load(Ordering::Relaxed) {
                    return;
                }
                let (near, shared) = (near.unwrap(), Arc::clone(&here));
                thread::spawn(move || shared.serve(near));
            }
        });
        Self { path: path.to_owned(), shared }
    }

    /// How many answers were lost so far.
    pub fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let _ = UnixStream::connect(&self.path);
    }
}

impl Shared {
    fn serve(&self, mut near: UnixStream) {
        let mut far = UnixStream::connect(&self.to).unwrap();
        while let Some(question) = block(&mut near) {
            far.write_all(question.as_bytes()).unwrap();
            let fate = self.fate(&question);
            if matches!(fate, Fate::Forgotten) {
                let _ = far.shutdown(Shutdown::Write);
                return;
            }
            let Some(answer) = block(&mut far) else { return };
            if matches!(fate, Fate::Lost) || near.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn fate(&self, question: &str) -> Fate {
        let instance = question.lines().find(|line| line.starts_with("instance=")).unwrap();
        let mut known = self.known.lock().unwrap();
        if !question.contains("protocol_state=END-OF-MESSAGE\n") || !known.insert(instance.to_owned()) {
            return Fate::Answered;
        }
        let fate = [Fate::Lost, Fate::Forgotten, Fate::Answered].into_iter().nth(known.len() % 3).unwrap();
        if !matches!(fate, Fate::Answered) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        fate
    }
}

/// What comes up to an empty line, with it.
fn block(stream: &mut UnixStream) -> Option<String> {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\n\n") {
        match stream.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(text).unwrap())
}
