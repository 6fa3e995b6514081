//! No import cycle among the files of `src/` and `crates/`: each file can be read after its imports.
//!
//! A module's file and those of its submodules count as one, so that a child may use its parent's types. A file imports
//! another one by a `use` or a path in its code; a re-export (`pub use`) leads to the file with the definition. Tests are
//! left out. Paths are resolved like in rustc, as far as this project needs it: no macro defines a module, and no module
//! except `tests` is inline.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex_lite::Regex;

use super::{code, rust_files, text, without_tests};

/// The crates, each with the folder of its files.
const CRATES: [(&str, &str); 3] = [
    ("foster", "src"),
    ("foster_core", "crates/foster-core/src"),
    ("foster_lines", "crates/foster-lines/src"),
];

/// Files that are still in a cycle. The list only gets shorter: a file that is in no cycle must be removed.
const STILL_IN_A_CYCLE: &[&str] = &[];

/// The parts of a path: `crate`, `config`, `reader`, `Reader`.
type Names = Vec<String>;

/// A file of a crate.
struct Module {
    path: PathBuf,
    /// The name of the crate, then those of the modules.
    names: Names,
    /// Its own imports, and every path in its code.
    used: Vec<Names>,
    /// Its re-exports: the name here, and the original path.
    reexports: BTreeMap<String, Names>,
}

/// Every module by its names.
struct Tree(BTreeMap<Names, Module>);

impl Tree {
    fn read() -> Tree {
        let mut tree = BTreeMap::new();
        for (name, folder) in CRATES {
            for path in rust_files(folder) {
                let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
                if file == "tests" || path.iter().any(|part| part == "tests") {
                    continue;
                }
                let inside = path.strip_prefix(folder).expect("inside").with_extension("");
                let mut names: Names = vec![name.to_owned()];
                names.extend(inside.iter().map(|part| part.to_string_lossy().into_owned()));
                if ["mod", "lib"].contains(&file.as_str()) {
                    names.pop();
                }
                let text = text(&path);
                let module = Module::read(path, names, &code(without_tests(&text)));
                tree.insert(module.names.clone(), module);
            }
        }
        Tree(tree)
    }

    /// The file that a path in `from` leads to.
    fn find(&self, from: &Module, path: &[String], depth: u32) -> Option<&Module> {
        let mut names = from.names.clone();
        let mut rest = path;
        loop {
            match rest.first()?.as_str() {
                "crate" => names.truncate(1),
                "super" => drop(names.pop()),
                "self" => {}
                _ => break,
            }
            rest = &rest[1..];
        }
        if rest.len() == path.len() {
            // A child module or a crate of this repository; other paths lead to dependencies.
            names.push(rest[0].clone());
            if !self.0.contains_key(&names) {
                names = vec![rest[0].clone()];
            }
            rest = &rest[1..];
        }
        let mut found = self.0.get(&names)?;
        while let Some(next) = rest.first() {
            names.push(next.clone());
            match self.0.get(&names) {
                Some(module) => found = module,
                None => break,
            }
            rest = &rest[1..];
        }
        match rest.first().and_then(|name| found.reexports.get(name)) {
            Some(target) if depth < 5 => self.find(found, target, depth + 1).or(Some(found)),
            _ => Some(found),
        }
    }

    /// The imports of each file.
    fn imports(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let of = |module: &Module| {
            let targets = module.used.iter().filter_map(|path| self.find(module, path, 0));
            // Files of one module may use each other.
            let others = targets.filter(|target| !module.names.starts_with(&target.names));
            others.map(|target| target.path.as_path()).collect()
        };
        self.0.values().map(|module| (module.path.as_path(), of(module))).collect()
    }
}

impl Module {
    fn read(path: PathBuf, names: Names, code: &str) -> Module {
        let import =
            Regex::new(r"(?ms)^[ \t]*(pub(?:\([^)]*\))? )?use ([^;]+);").expect("a regular expression");
        let inline = Regex::new(r"\b((?:crate|super|self|foster_core|foster_lines)(?:::\w+)+)")
            .expect("a regular expression");
        let body = import.replace_all(code, "");
        let split = |path: &str| path.split("::").map(|name| name.trim().to_owned()).collect::<Names>();
        let mut used: Vec<Names> = inline.captures_iter(&body).map(|found| split(&found[1])).collect();
        let mut reexports = BTreeMap::new();
        for found in import.captures_iter(code) {
            for (name, path) in expand("", &found[2]) {
                let is_used_here =
                    || Regex::new(&format!(r"\b{name}\b")).expect("a regular expression").is_match(&body);
                if found.get(1).is_none() || is_used_here() {
                    used.push(split(&path));
                }
                if found.get(1).is_some() {
                    reexports.insert(name, split(&path));
                }
            }
        }
        Module { path, names, used, reexports }
    }
}

/// The paths of a `use`, each with its local name: `a::{b, c::{self, d as e}}`.
fn expand(before: &str, text: &str) -> Vec<(String, String)> {
    let text = text.trim();
    if let Some((head, group)) = text.split_once('{') {
        let before = format!("{before}{}", head.trim());
        let group = group.trim_end().trim_end_matches('}');
        return split_group(group).iter().flat_map(|part| expand(&before, part)).collect();
    }
    let (path, renamed) = match text.split_once(" as ") {
        Some((path, name)) => (path.trim(), Some(name.trim())),
        None => (text, None),
    };
    let path = format!("{before}{path}");
    let path = path.strip_suffix("::self").map(str::to_owned).unwrap_or(path);
    let name = renamed.unwrap_or_else(|| path.rsplit("::").next().unwrap_or("")).to_owned();
    vec![(name, path)]
}

/// Splits at the commas outside of inner groups.
fn split_group(group: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_u32);
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

/// Every file that a file imports, directly or indirectly.
fn reachable<'a>(imports: &BTreeMap<&'a Path, BTreeSet<&'a Path>>, from: &'a Path) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        for &target in &imports[next] {
            if reached.insert(target) {
                open.push(target);
            }
        }
    }
    reached
}

/// Groups of files that import each other, directly or indirectly.
fn cycles<'a>(imports: &BTreeMap<&'a Path, BTreeSet<&'a Path>>) -> BTreeSet<BTreeSet<&'a Path>> {
    let reached: BTreeMap<&Path, BTreeSet<&Path>> =
        imports.keys().map(|&path| (path, reachable(imports, path))).collect();
    let of = |path: &&'a Path| -> BTreeSet<&'a Path> {
        reached[path].iter().copied().filter(|other| reached[other].contains(path)).collect()
    };
    imports.keys().map(of).filter(|cycle| cycle.len() > 1).collect()
}

#[test]
fn no_files_import_each_other_in_a_cycle() {
    let tree = Tree::read();
    let imports = tree.imports();
    let cycles = cycles(&imports);
    let found: BTreeSet<&Path> = cycles.iter().flatten().copied().collect();
    let known: BTreeSet<&Path> = STILL_IN_A_CYCLE.iter().map(Path::new).collect();
    let mut wrong = Vec::new();
    for cycle in cycles.iter().filter(|cycle| cycle.iter().any(|path| !known.contains(path))) {
        wrong.push("files that import each other in a cycle:".to_owned());
        for path in cycle {
            let targets = imports[path].intersection(cycle).map(|path| path.display().to_string());
            wrong.push(format!("  {} imports {}", path.display(), targets.collect::<Vec<_>>().join(", ")));
        }
    }
    for left in known.difference(&found) {
        wrong.push(format!("{} is in no cycle: remove it from STILL_IN_A_CYCLE", left.display()));
    }
    super::assert_none(&wrong);
}

#[test]
fn a_cycle_is_found_through_groups_and_reexports() {
    let expanded: Vec<String> =
        expand("", "super::{a::{self, B as C}, d}").into_iter().map(|(_, path)| path).collect();
    assert_eq!(expanded, ["super::a", "super::a::B", "super::d"]);
    let module = |names: &[&str], code: &str| {
        let names: Names = names.iter().map(|&name| name.to_owned()).collect();
        Module::read(PathBuf::from(names.join("/")), names, code)
    };
    let modules = [
        module(&["foster"], "mod m;\n"),
        module(&["foster", "m"], "use b::g;\nmod a;\nmod b;\npub(crate) use a::Thing;\n"),
        module(&["foster", "m", "a"], "use super::b::{self, Other};\n"),
        module(&["foster", "m", "b"], "use crate::m::Thing;\n"),
        module(&["foster", "m", "c"], "fn f() { super::b::g() }\n"),
    ];
    let tree = Tree(modules.into_iter().map(|module| (module.names.clone(), module)).collect());
    let imports = tree.imports();
    let cycle: BTreeSet<&Path> = [Path::new("foster/m/a"), Path::new("foster/m/b")].into();
    assert_eq!(cycles(&imports), BTreeSet::from([cycle]));
}
