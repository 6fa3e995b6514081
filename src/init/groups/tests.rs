use super::*;

use foster_core::ids::{InstanceId, ProgramId};
use tempfile::TempDir;

/// A root directory whose cgroup of version 2 is an ordinary folder, with these files.
fn fake(files: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("proc/self/cgroup", "4:memory:/elsewhere\n0::/pod/app\n");
    write("proc/self/mountinfo", "30 23 0:26 /pod /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
    write("sys/fs/cgroup/app/cgroup.procs", "");
    for (name, text) in files {
        write(&format!("sys/fs/cgroup/app/{name}"), text);
    }
    root
}

fn open(root: &TempDir, role: InitRole) -> Groups {
    let place = OwnPlace::read(root.path());
    Groups::open(root.path(), &place, role, Rc::new(Epoll::new().unwrap()), Owner(0))
}

fn run(number: u32) -> Run {
    Run { instance: InstanceId { program: ProgramId(0), index: 0 }, number }
}

fn folder(root: &TempDir, name: &str) -> PathBuf {
    root.path().join("sys/fs/cgroup/app").join(name)
}

#[test]
fn each_instance_has_a_group_that_outlives_its_runs_and_is_removed_when_none_uses_it() {
    let root = fake(&[("cgroup.type", "domain\n"), ("memory.max", "max\n"), ("cpu.max", "max 100000\n")]);
    let mut groups = open(&root, InitRole::Subreaper);
    assert!(groups.enter(run(1), "web.0", None).is_some());
    assert!(groups.enter(run(1), "renamed", None).is_some());
    assert!(folder(&root, "foster/web.0").is_dir());
    assert!(!folder(&root, "foster/renamed").exists(), "a run keeps its group");
    groups.remove_unused();
    assert!(folder(&root, "foster/web.0").is_dir(), "a live run has it");
    groups.end(run(1));
    assert!(!groups.has(run(1)));
    assert!(folder(&root, "foster/web.0").is_dir());
    groups.close();
    assert!(!folder(&root, "foster").exists());
}

#[test]
fn what_an_earlier_foster_left_is_removed_and_what_another_uses_is_left_alone() {
    let root = fake(&[]);
    fs::create_dir_all(folder(&root, "foster/old")).unwrap();
    let mut first = open(&root, InitRole::Init);
    assert!(!folder(&root, "foster/old").exists());
    assert!(first.enter(run(1), "web", None).is_some());
    let mut second = open(&root, InitRole::Init);
    assert!(second.enter(run(1), "web", None).is_some());
    assert_eq!(first.parent.as_ref().unwrap().path, Path::new("/pod/app/foster"));
    assert!(folder(&root, "foster/web").is_dir());
    assert!(folder(&root, "foster.1/web").is_dir());
}

#[test]
fn no_group_is_made_where_programs_would_miss_a_limit_or_below_a_threaded_one() {
    for (name, text) in
        [("memory.max", "104857600\n"), ("cpu.max", "50000 100000\n"), ("cgroup.type", "threaded\n")]
    {
        let root = fake(&[(name, text)]);
        assert!(open(&root, InitRole::Init).enter(run(1), "web", None).is_none(), "{name}");
        assert!(!folder(&root, "foster").exists(), "{name}");
    }
}

#[test]
fn without_version_2_or_without_proc_there_are_no_groups() {
    let root = TempDir::new().unwrap();
    assert!(open(&root, InitRole::Init).enter(run(1), "web", None).is_none());
    let root = fake(&[]);
    fs::write(root.path().join("proc/self/cgroup"), "4:memory:/app\n1:name=systemd:/app\n").unwrap();
    assert!(open(&root, InitRole::Init).enter(run(1), "web", None).is_none());
}

#[test]
fn a_name_that_could_be_another_file_or_directory_gets_no_group() {
    let root = fake(&[]);
    let mut groups = open(&root, InitRole::Init);
    for name in ["", ".", "..", "../web", "a/b", ".init", "a b", "a\nb"] {
        assert!(groups.enter(run(1), name, None).is_none(), "{name:?}");
    }
    // A file of the kernel is not a directory.
    fs::write(folder(&root, "foster/cgroup.kill"), "").unwrap();
    assert!(groups.enter(run(1), "cgroup.kill", None).is_none());
    assert!(!groups.kill(run(1)));
}

#[test]
fn the_list_of_a_group_leaves_out_what_foster_cannot_see() {
    let root = fake(&[]);
    let mut groups = open(&root, InitRole::Parent);
    assert!(groups.enter(run(1), "web", None).is_some());
    fs::write(folder(&root, "foster/web/cgroup.procs"), "0\n12\nx\n0\n7\n").unwrap();
    assert_eq!(groups.members(run(1)), [Pid::from_raw(12), Pid::from_raw(7)]);
    assert_eq!(groups.members(run(2)), []);
    fs::write(folder(&root, "foster/web/cgroup.kill"), "").unwrap();
    assert!(groups.kill(run(1)));
    assert_eq!(fs::read_to_string(folder(&root, "foster/web/cgroup.kill")).unwrap(), "1");
    // It is not entered again, and with files in it the folder cannot be removed, as one with processes.
    assert!(groups.enter(run(1), "web", None).is_none());
}

const MEBIBYTE: u64 = 1 << 20;

/// A group of foster's own with the memory controller, in which these processes are.
fn with_memory(processes: &str) -> TempDir {
    fake(&[
        ("cgroup.controllers", "cpu memory pids\n"),
        ("cgroup.subtree_control", ""),
        ("cgroup.procs", processes),
    ])
}

fn content(root: &TempDir, name: &str) -> String {
    fs::read_to_string(folder(root, name)).unwrap_or_default()
}

/// The file of the folder of all groups, which the kernel makes.
fn pass_on_below(root: &TempDir) {
    fs::write(folder(root, "foster/cgroup.subtree_control"), "").unwrap();
}

#[test]
fn the_kernel_holds_a_program_to_a_quarter_above_its_limit_and_kills_all_of_it_together() {
    let root = with_memory("");
    let mut groups = open(&root, InitRole::Subreaper);
    pass_on_below(&root);
    assert_eq!(groups.hold_memory(), Ok(()));
    assert_eq!(content(&root, "cgroup.subtree_control"), "+memory");
    assert_eq!(content(&root, "foster/cgroup.subtree_control"), "+memory");
    assert!(groups.enter(run(1), "web", Some(100 * MEBIBYTE)).is_some());
    assert_eq!(content(&root, "foster/web/memory.max"), (125 * MEBIBYTE).to_string());
    assert_eq!(content(&root, "foster/web/memory.oom.group"), "1");
    groups.limit(run(1), Some(200 * MEBIBYTE));
    assert_eq!(content(&root, "foster/web/memory.max"), (250 * MEBIBYTE).to_string());
    groups.limit(run(1), None);
    assert_eq!(content(&root, "foster/web/memory.max"), "max");
    assert_eq!(content(&root, "foster/web/memory.oom.group"), "0");
    let other = Run { instance: InstanceId { program: ProgramId(1), index: 0 }, number: 1 };
    assert!(groups.enter(other, "db", None).is_some());
    assert!(!folder(&root, "foster/db/memory.max").exists(), "it has no limit");
    assert_eq!(content(&root, "cgroup.procs"), "", "foster stays where it is");
}

#[test]
fn the_group_of_a_run_counts_the_kills_for_memory_of_that_run() {
    let root = with_memory("");
    let mut groups = open(&root, InitRole::Subreaper);
    pass_on_below(&root);
    assert!(groups.enter(run(1), "web", Some(MEBIBYTE)).is_some());
    assert_eq!(groups.was_out_of_memory(run(1)), None, "the kernel does not count");
    groups.hold_memory().unwrap();
    let count = |kills: u32| {
        let text = format!("low 0\nhigh 0\nmax 9\noom 1\noom_kill {kills}\noom_group_kill 1\n");
        fs::write(folder(&root, "foster/web/memory.events"), text).unwrap();
    };
    count(0);
    assert_eq!(groups.was_out_of_memory(run(1)), Some(false));
    count(3);
    assert_eq!(groups.was_out_of_memory(run(1)), Some(true));
    assert_eq!(groups.was_out_of_memory(run(1)), Some(false), "it was reported before");
    groups.end(run(1));
    count(4);
    assert!(groups.enter(run(2), "web", Some(MEBIBYTE)).is_some());
    assert_eq!(groups.was_out_of_memory(run(2)), Some(false), "that was before its start");
}

#[test]
fn memory_is_not_held_without_the_controller_or_where_passing_it_on_is_refused() {
    let refused = |root: &TempDir| open(root, InitRole::Subreaper).hold_memory().unwrap_err();
    let without = fake(&[("cgroup.controllers", "cpu pids\n")]);
    assert!(refused(&without).ends_with("/app does not have the memory controller"));
    // No file of that name: an error of the write.
    let unwritable = fake(&[("cgroup.controllers", "memory\n")]);
    assert!(
        refused(&unwritable).ends_with("cannot pass the memory controller on: No such file or directory")
    );
    let halfway = with_memory("");
    let mut groups = open(&halfway, InitRole::Subreaper);
    assert!(groups.hold_memory().is_err(), "the folder of the groups has no such file");
    assert!(groups.enter(run(1), "web", Some(MEBIBYTE)).is_some());
    assert!(!folder(&halfway, "foster/web/memory.max").exists());
    let none = fake(&[("cgroup.type", "threaded\n")]);
    assert_eq!(refused(&none), "foster makes no cgroups here");
}

#[test]
fn a_run_beside_another_of_its_instance_has_a_group_of_its_own() {
    let root = fake(&[]);
    let mut groups = open(&root, InitRole::Init);
    assert!(groups.enter(run(1), "web", None).is_some());
    assert!(groups.enter(run(2), "web", None).is_some());
    assert!(groups.enter(run(3), "web", None).is_none(), "two of them have not ended");
    fs::write(folder(&root, "foster/web:2/cgroup.kill"), "").unwrap();
    fs::write(folder(&root, "foster/web:2/cgroup.procs"), "7\n").unwrap();
    assert_eq!((groups.members(run(1)), groups.members(run(2))), (Vec::new(), vec![Pid::from_raw(7)]));
    assert!(groups.kill(run(2)));
    assert!(!folder(&root, "foster/web/cgroup.kill").exists());
    groups.end(run(1));
    assert!(groups.enter(run(3), "web", None).is_some(), "the first group is free again");
    assert!(groups.enter(run(2), "web", None).is_none(), "a group that was killed is not used again");
}

#[test]
fn a_list_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let root = fake(&[]);
    let mut groups = open(&root, InitRole::Parent);
    assert!(groups.enter(run(1), "web", None).is_some());
    let epoll = Rc::new(Epoll::new().unwrap());
    let children = Children::new(epoll, Owner(0), Default::default());
    assert_eq!(groups.left(run(1), &children), Left::Nothing, "it has no list");
    fs::write(folder(&root, "foster/web/cgroup.procs"), "17\n").unwrap();
    assert_eq!(groups.left(run(1), &children), Left::Process(Pid::from_raw(17)));
    fs::remove_file(folder(&root, "foster/web/cgroup.procs")).unwrap();
    fs::create_dir(folder(&root, "foster/web/cgroup.procs")).unwrap();
    assert_eq!(groups.left(run(1), &children), Left::Unknown);
}
