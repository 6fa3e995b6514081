//! Describes a container (configuration, files, environment, sandbox) and starts it.
//!
//! The working directory is a new folder with `bin/puppet` in `PATH`, so that a test's configuration looks like a real
//! one: `command = "puppet print:hello pause"`.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::io::{PipeReader, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tempfile::TempDir;

use super::output::Output;
use super::parts::{found, may_make_namespaces};
use super::running::{Launched, Running};
use super::terminal::PtyPair;
use super::verb::{Finished, run};

/// A container before its start.
pub(crate) struct Foster {
    folder: TempDir,
    config: String,
    arguments: Option<Vec<String>>,
    environment: Vec<(String, String)>,
    options: Vec<String>,
    pid1: Pid1,
    streams: StdStreams,
    concurrency: Concurrency,
    name: Option<String>,
    limit: Option<String>,
    descriptors: TestDescriptors,
}

/// Descriptors of the test that replace the builder's own.
#[derive(Default)]
struct TestDescriptors {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

/// Whether foster is PID 1 of a new namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pid1 {
    Foster,
    Other,
}

/// The connection of stdout and stderr.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StdStreams {
    Apart,
    Together,
    /// One terminal, also for stdin.
    Terminal,
}

/// Whether other tests may run at the same time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Concurrency {
    Parallel,
    Alone,
}

static EXCLUSIVE: RwLock<()> = RwLock::new(());

thread_local! {
    /// Whether this test holds `EXCLUSIVE`: a second container of the test does not take it again.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

/// The permission to run in parallel or alone.
pub(crate) struct RunPermit {
    shared: Option<RwLockReadGuard<'static, ()>>,
    alone: Option<RwLockWriteGuard<'static, ()>>,
}

impl Drop for RunPermit {
    fn drop(&mut self) {
        if self.shared.is_some() || self.alone.is_some() {
            HOLDS.set(false);
        }
    }
}

impl Foster {
    pub(crate) fn new() -> Foster {
        let folder = TempDir::with_prefix("foster-").expect("a temporary folder");
        // Processes of other users must be able to enter the folder.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        fs::create_dir(folder.path().join("bin")).expect("bin");
        install(&puppet(), &folder.path().join("bin/puppet"));
        Foster {
            folder,
            config: String::new(),
            arguments: None,
            environment: Vec::new(),
            options: Vec::new(),
            pid1: Pid1::Foster,
            streams: StdStreams::Apart,
            concurrency: Concurrency::Parallel,
            limit: None,
            name: None,
            descriptors: TestDescriptors::default(),
        }
    }

    /// Runs foster under another name, like a copy in an image.
    pub(crate) fn named(mut self, name: &str) -> Foster {
        install(&binary(), &self.folder.path().join("bin").join(name));
        self.name = Some(name.to_owned());
        self
    }

    /// Runs foster on a new terminal as the leader of its session, as with `docker run --tty`.
    pub(crate) fn on_terminal(mut self) -> Foster {
        self.streams = StdStreams::Terminal;
        self
    }

    /// Sets a resource limit of foster itself (prlimit(1)).
    pub(crate) fn limited(mut self, resource: &str, most: u32) -> Foster {
        self.limit = Some(format!("--{resource}={most}"));
        self
    }

    /// Sets `foster.toml`; a control socket of this test is added unless it names one.
    pub(crate) fn config(mut self, text: &str) -> Foster {
        text.clone_into(&mut self.config);
        self
    }

    /// Adds a file to the working directory.
    pub(crate) fn file(self, name: &str, content: &str) -> Foster {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("its folder");
        fs::write(path, content).expect("a file");
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Foster {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the arguments, instead of `run -c foster.toml`.
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Foster {
        self.arguments = Some(arguments.iter().map(|&argument| argument.to_owned()).collect());
        self
    }

    /// Runs another program instead of foster, such as a shell that starts foster.
    pub(crate) fn program(mut self, name: &str, arguments: &[&str]) -> Foster {
        self.name = Some(found(name).expect("a program").display().to_string());
        self.arguments(arguments)
    }

    /// Runs foster in the test's PID namespace, as under another init.
    pub(crate) fn not_pid_1(mut self) -> Foster {
        self.pid1 = Pid1::Other;
        self
    }

    pub(crate) fn uid(mut self, uid: u32) -> Foster {
        self.options.extend(["--uid".to_owned(), uid.to_string()]);
        self
    }

    /// Drops a capability, as with `docker run --cap-drop`.
    pub(crate) fn without(mut self, capability: &str) -> Foster {
        self.options.extend(["--drop".to_owned(), capability.to_owned()]);
        self
    }

    /// Makes a system call fail with this error, like an old seccomp profile. `subreaper` means PR_SET_CHILD_SUBREAPER.
    pub(crate) fn refusing(mut self, call: &str, errno: &str) -> Foster {
        self.options.extend(["--refuse".to_owned(), format!("{call}={errno}")]);
        self
    }

    /// Makes all paths read-only, including the working directory.
    pub(crate) fn read_only(mut self) -> Foster {
        self.options.push("--read-only".to_owned());
        self
    }

    /// Uses a root directory with only foster, the puppet, and the files of this test.
    pub(crate) fn scratch_root(mut self) -> Foster {
        self.options.extend(["--root".to_owned(), self.folder.path().display().to_string()]);
        self
    }

    /// Uses the machine's files and an empty `/tmp`, with changes that stay in memory, and a separate network. The working
    /// directory is `/run`, so that the default control socket is the one that `Running::verb` asks.
    pub(crate) fn image(self) -> Foster {
        let folder = self.folder.path().display().to_string();
        let built = repository().display().to_string();
        self.container_options(&["--network", "--image", &folder, "--bind", &built])
    }

    /// Uses one pipe for stdout and stderr, so that the order of their lines is known.
    pub(crate) fn one_stream(mut self) -> Foster {
        self.streams = StdStreams::Together;
        self
    }

    /// Makes `/proc` an empty folder.
    pub(crate) fn without_proc(mut self) -> Foster {
        self.options.push("--without-proc".to_owned());
        self
    }

    /// Adds options of `examples/container/`.
    pub(super) fn container_options(mut self, options: &[&str]) -> Foster {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// Sets foster's standard input.
    pub(super) fn stdin(mut self, stdin: OwnedFd) -> Foster {
        self.descriptors.stdin = Some(stdin);
        self
    }

    /// Sets foster's standard output; the test does not read it.
    pub(crate) fn stdout(mut self, stdout: OwnedFd) -> Foster {
        self.descriptors.stdout = Some(stdout);
        self
    }

    /// Sets foster's standard error; the test does not read it.
    pub(crate) fn stderr(mut self, stderr: OwnedFd) -> Foster {
        self.descriptors.stderr = Some(stderr);
        self
    }

    /// Runs while no other container runs, for measurements.
    pub(crate) fn alone(mut self) -> Foster {
        self.concurrency = Concurrency::Alone;
        self
    }

    /// The working directory.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs foster with these arguments in this folder until it exits, for example `check`.
    pub(crate) fn finish(self, arguments: &[&str]) -> Finished {
        self.write_config();
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.folder.path()).env("PATH", self.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        run(command)
    }

    /// Runs a shell script until it exits, with all names of foster in PATH.
    pub(crate) fn shell(self, script: &str) -> Finished {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(self.folder.path()).env("PATH", self.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        run(command)
    }

    pub(crate) fn start(mut self) -> Running {
        let permit = self.permit();
        self.write_config();
        if self.streams == StdStreams::Terminal {
            return self.start_on_terminal(permit);
        }
        let (out_reader, out_writer) = pipe().expect("a pipe");
        let (err_reader, err_writer) = match self.streams {
            StdStreams::Apart => pipe().map(|(reader, writer)| (Some(reader), writer)).expect("a pipe"),
            StdStreams::Together | StdStreams::Terminal => (None, out_writer.try_clone().expect("a pipe")),
        };
        let mut command = self.command();
        let descriptors = std::mem::take(&mut self.descriptors);
        command.stdin(descriptors.stdin.map_or_else(Stdio::null, Stdio::from));
        command.stdout(descriptors.stdout.map_or_else(|| Stdio::from(out_writer), Stdio::from));
        command.stderr(descriptors.stderr.map_or_else(|| Stdio::from(err_writer), Stdio::from));
        let launched = match self.pid1() {
            Pid1::Foster => Launched::first_of_a_namespace(command),
            Pid1::Other => Launched::in_our_namespace(command),
        };
        let output = Output::read(out_reader, err_reader);
        Running::new(launched, output, self.folder, permit)
    }

    fn start_on_terminal(self, permit: RunPermit) -> Running {
        let PtyPair { master, slave } = PtyPair::open();
        let inner = self.command();
        // setsid(1) creates a session with the terminal of its standard input, and executes the command.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(inner.get_program()).args(inner.get_args());
        command.current_dir(self.folder.path());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let again = || slave.try_clone().expect("a terminal");
        command.stdin(again()).stdout(again()).stderr(again());
        drop(slave);
        let launched = match self.pid1() {
            Pid1::Foster => Launched::first_of_a_namespace(command),
            Pid1::Other => Launched::in_our_namespace(command),
        };
        let output = Output::read(PipeReader::from(master.try_clone().expect("a terminal")), None);
        Running::new(launched, output, self.folder, permit).typing(master)
    }

    fn command(&self) -> Command {
        let inside = self.options.iter().any(|option| option == "--root");
        let root = self.folder.path();
        let named = self.name.as_ref().map(|name| root.join("bin").join(name));
        let foster = named.unwrap_or_else(|| {
            if self.options.is_empty() {
                return binary();
            }
            // The user may have no access to the build's folder.
            install(&binary(), &root.join("bin/foster"));
            root.join("bin/foster")
        });
        let (foster, config) = match inside {
            true => (PathBuf::from("/bin/foster"), PathBuf::from("/foster.toml")),
            false => (foster, root.join("foster.toml")),
        };
        let mut words: Vec<OsString> = Vec::new();
        if let Some(limit) = &self.limit {
            words.extend(["prlimit".into(), limit.into(), "--".into()]);
        }
        if self.pid1() == Pid1::Foster {
            words.push(container().into());
            words.extend(self.options.iter().map(OsString::from));
            words.push("--".into());
        }
        words.push(foster.into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        match &self.arguments {
            Some(arguments) => command.args(arguments),
            None => command.arg("run").arg("-c").arg(config),
        };
        command.current_dir(root).env("PATH", if inside { "/bin".to_owned() } else { self.path() });
        // The container does not inherit the variables of the test.
        for name in
            ["NOTIFY_SOCKET", "LISTEN_FDS", "FOSTER_SOCKET", "FOSTER_CONFIG", "FOSTER_LOG", "NO_COLOR"]
        {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Without the permission to create namespaces, foster runs as under another init.
    fn pid1(&self) -> Pid1 {
        match self.pid1 {
            Pid1::Foster if may_make_namespaces() => Pid1::Foster,
            Pid1::Foster | Pid1::Other => Pid1::Other,
        }
    }

    fn write_config(&self) {
        if self.config.is_empty() {
            return;
        }
        let mut text = self.config.clone();
        let socket = match self.options.iter().any(|option| option == "--root") {
            true => "/foster.sock".to_owned(),
            false => self.folder.path().join("foster.sock").display().to_string(),
        };
        let line = format!("socket = \"{socket}\"\n");
        match text.find("[foster]\n") {
            Some(_) if text.contains("socket = ") => {}
            Some(at) => text.insert_str(at + "[foster]\n".len(), &line),
            // At the end, so that the line numbers of the test's text stay.
            None => text.push_str(&format!("\n[foster]\n{line}")),
        }
        fs::write(self.folder.path().join("foster.toml"), text).expect("foster.toml");
    }

    /// Adds every name of foster to `bin`.
    pub(crate) fn all_names(self) -> Foster {
        for name in ["foster", "tini", "dumb-init"] {
            install(&binary(), &self.folder.path().join("bin").join(name));
        }
        self
    }

    fn path(&self) -> String {
        let inherited = std::env::var("PATH").expect("PATH");
        format!("{}:{inherited}", self.folder.path().join("bin").display())
    }

    fn permit(&self) -> RunPermit {
        if HOLDS.replace(true) {
            return RunPermit { shared: None, alone: None };
        }
        // A poisoned lock is harmless, because it protects no data.
        match self.concurrency {
            Concurrency::Parallel => RunPermit {
                shared: Some(EXCLUSIVE.read().unwrap_or_else(PoisonError::into_inner)),
                alone: None,
            },
            Concurrency::Alone => RunPermit {
                shared: None,
                alone: Some(EXCLUSIVE.write().unwrap_or_else(PoisonError::into_inner)),
            },
        }
    }
}

/// Runs `foster check` with this configuration.
pub(crate) fn check(config: &str) -> Finished {
    Foster::new().config(config).finish(&["check", "-c", "foster.toml"])
}

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_foster"))
}

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The puppet: a program that misbehaves as its arguments tell.
pub(crate) fn puppet() -> PathBuf {
    example("puppet")
}

/// The program that sets up a container.
pub(crate) fn container() -> PathBuf {
    example("container")
}

/// The path of a built example. `cargo test --test main` does not build examples, and a stale one would give wrong results.
fn example(name: &str) -> PathBuf {
    let built = binary().with_file_name("examples").join(name);
    let source = repository().join("examples").join(name);
    let time = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    // An example is one file or a folder.
    let files = fs::read_dir(&source).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = files.chain([source.with_extension("rs")]).filter_map(|path| time(&path)).max();
    match (time(&built), newest) {
        (Some(built), Some(source)) if built >= source => {}
        _ => panic!("examples/{name} is not built from its source: run `cargo build --examples`"),
    }
    built
}

/// Creates a hard link, or a copy if that is not possible.
fn install(from: &Path, to: &Path) {
    if to.exists() || fs::hard_link(from, to).is_ok() {
        return;
    }
    fs::copy(from, to).unwrap_or_else(|error| panic!("cannot copy {}: {error}", from.display()));
}
