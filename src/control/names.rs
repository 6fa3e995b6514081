//! Resolves a NAME to instances: `backend`, `backend.1`, `all`, or a glob such as `'web*'`.
//!
//! Only the supervisor knows the programs, so it does this. The cost of a request is bounded: names are looked up, and the
//! number of globs, which are tried one by one, is limited. A glob knows `*`, `?` and `[a-z]`, `[!a-z]`; it is
//! matched against `backend` and against `backend.1`. Pure: names in, positions out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use foster_core::sorted::SortedSet;

use super::protocol::{Reason, Refusal};
use crate::glob;
use crate::suggest::{self, nearest};

/// The most different globs in a request.
const MOST_GLOBS: usize = 100;

/// Why names cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// No program has this name.
    NotFound {
        /// The name, as given by the client.
        name: String,
        /// The nearest valid one.
        nearest: Option<String>,
        /// The valid ones, listed where none is near.
        known: String,
    },
    /// There are more than [`MOST_GLOBS`] different globs.
    TooManyGlobs(usize),
}

/// The NAMEs of a request, ready to be matched against many instances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameFilter {
    all: bool,
    literals: BTreeSet<String>,
    globs: BTreeSet<String>,
}

impl NameFilter {
    /// Sorts the names by kind; no name means all.
    ///
    /// # Errors
    /// [`NameError::TooManyGlobs`].
    pub fn new(names: &[String]) -> Result<NameFilter, NameError> {
        let mut filter = NameFilter { all: names.is_empty(), ..NameFilter::default() };
        for name in names {
            match name {
                name if name == "all" => filter.all = true,
                name if glob::is_pattern(name) => drop(filter.globs.insert(name.clone())),
                name => drop(filter.literals.insert(name.clone())),
            }
        }
        match filter.globs.len() {
            count if count > MOST_GLOBS => Err(NameError::TooManyGlobs(count)),
            _ => Ok(filter),
        }
    }

    /// Everything.
    pub fn all() -> NameFilter {
        NameFilter { all: true, ..NameFilter::default() }
    }

    /// Whether the filter includes this instance.
    pub fn matches(&self, name: &str, instance: u16) -> bool {
        if self.all || self.literals.contains(name) {
            return true;
        }
        let label = format!("{name}.{instance}");
        self.literals.contains(&label)
            || self.globs.iter().any(|pattern| glob::matches(pattern, name) || glob::matches(pattern, &label))
    }

    /// Whether no name was given: the filter then includes events that belong to no program.
    pub fn is_open(&self) -> bool {
        self.all && self.literals.is_empty() && self.globs.is_empty()
    }
}

/// The instances, as (position in `known`, instance), each once, in the order of `known`, which has the name of every
/// program and the number of its instances.
///
/// # Errors
/// The first unknown name: an order with a mistyped name must do nothing at all.
pub fn resolve(names: &[String], known: &[(&str, u16)]) -> Result<Vec<(usize, u16)>, NameError> {
    let filter = NameFilter::new(names)?;
    let mut instances: BTreeMap<&str, u16> = BTreeMap::new();
    instances.extend(known.iter().copied());
    // Repeated names are looked up once.
    let different = filter.literals.iter().chain(&filter.globs);
    let unknown: SortedSet<&String> = different.filter(|name| !is_known(name, &instances)).collect();
    let no_program = filter.all && instances.values().all(|count| *count == 0);
    if let Some(name) = names.iter().find(|name| unknown.contains(name) || no_program) {
        return Err(NameError::not_found(name, suggestion(name, known), known));
    }
    let all = known.iter().enumerate();
    let all = all.flat_map(|(position, &(name, count))| (0..count).map(move |at| (position, name, at)));
    Ok(all
        .filter(|(_, name, instance)| filter.matches(name, *instance))
        .map(|(position, _, instance)| (position, instance))
        .collect())
}

/// Whether a name resolves to at least one instance.
fn is_known(name: &str, instances: &BTreeMap<&str, u16>) -> bool {
    let has_any = |program: &str| instances.get(program).is_some_and(|count| *count > 0);
    if has_any(name) {
        return true;
    }
    let as_instance = name.rsplit_once('.').and_then(|(program, instance)| {
        // `backend.01` is not the name of an instance.
        let number = instance.parse::<u16>().ok().filter(|number| number.to_string() == instance)?;
        Some(number < *instances.get(program)?)
    });
    let is_glob = glob::is_pattern(name);
    as_instance == Some(true)
        || is_glob
            && instances.iter().any(|(program, count)| {
                (0..*count)
                    .any(|at| glob::matches(name, program) || glob::matches(name, &format!("{program}.{at}")))
            })
}

/// The nearest name; for `backnd.1` with the instance, where the program has it.
fn suggestion(pattern: &str, known: &[(&str, u16)]) -> Option<String> {
    let (program, instance) = match pattern.split_once('.') {
        Some((program, instance)) => (program, instance.parse::<u16>().ok()),
        None => (pattern, None),
    };
    let name = nearest(program, known.iter().map(|&(name, _)| name))?;
    let instances = known.iter().find(|(known, _)| *known == name).map_or(0, |&(_, instances)| instances);
    match instance {
        Some(instance) if instance < instances => Some(format!("{name}.{instance}")),
        Some(_) if name == program => Some(format!("{name}.{}", instances.saturating_sub(1))),
        Some(_) | None => Some(name.to_owned()),
    }
}

impl NameError {
    /// For a name that none of these programs has.
    pub fn not_found(name: &str, nearest: Option<String>, known: &[(&str, u16)]) -> NameError {
        let known: Vec<&str> = known.iter().map(|&(name, _)| name).collect();
        NameError::NotFound { name: name.to_owned(), nearest, known: suggest::list(&known) }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::NotFound { name, nearest, known } => {
                let shown: String = name.chars().take(100).collect();
                write!(f, "there is no program `{shown}`")?;
                if nearest.is_none() { write!(f, "; {known}") } else { Ok(()) }
            }
            NameError::TooManyGlobs(count) => {
                write!(f, "cannot match {count} different globs: at most {MOST_GLOBS} in one request")
            }
        }
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Refusal {
        let message = error.to_string();
        match error {
            NameError::NotFound { name: _, nearest, known: _ } => {
                Refusal::new(Reason::NoSuchName, message).with_suggestion(nearest.as_deref())
            }
            NameError::TooManyGlobs(_) => Refusal::new(Reason::BadRequest, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const KNOWN: [(&str, u16); 4] = [("backend", 2), ("web-1", 1), ("web-2", 1), ("nginx", 1)];

    fn meant(patterns: &[&str]) -> Result<Vec<(usize, u16)>, NameError> {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        resolve(&patterns, &KNOWN)
    }

    fn suggested(pattern: &str) -> Option<String> {
        match meant(&[pattern]) {
            Err(NameError::NotFound { name: _, nearest, known: _ }) => nearest,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_program_means_all_its_instances_and_an_instance_only_itself() {
        assert_eq!(meant(&["backend"]).unwrap(), [(0, 0), (0, 1)]);
        assert_eq!(meant(&["backend.1"]).unwrap(), [(0, 1)]);
        assert_eq!(meant(&["nginx.0"]).unwrap(), [(3, 0)]);
    }

    #[test]
    fn globs_and_all_mean_many_each_once_in_the_order_of_the_plan() {
        assert_eq!(meant(&["web*"]).unwrap(), [(1, 0), (2, 0)]);
        assert_eq!(meant(&["all"]).unwrap(), [(0, 0), (0, 1), (1, 0), (2, 0), (3, 0)]);
        assert_eq!(meant(&["*"]).unwrap(), meant(&["all"]).unwrap());
        assert_eq!(
            meant(&["nginx", "web-?", "web-1", "backend.1"]).unwrap(),
            [(0, 1), (1, 0), (2, 0), (3, 0)]
        );
        assert_eq!(meant(&["*.1"]).unwrap(), [(0, 1)]);
        assert_eq!(meant(&["web-[2-9]"]).unwrap(), [(2, 0)]);
        assert_eq!(meant(&["web-[!2-9]"]).unwrap(), [(1, 0)]);
        assert_eq!(meant(&[]).unwrap(), meant(&["all"]).unwrap());
    }

    #[test]
    fn one_unknown_name_refuses_the_whole_request() {
        let nearest = Some("backend".into());
        let known = "there are `backend`, `web-1`, `web-2`, `nginx`".into();
        let expected = NameError::NotFound { name: "bakend".into(), nearest, known };
        assert_eq!(meant(&["nginx", "bakend"]).unwrap_err(), expected);
        assert_eq!(suggested("bakend"), Some("backend".into()));
        assert_eq!(suggested("bakend.1"), Some("backend.1".into()));
        assert_eq!(suggested("backend.7"), Some("backend.1".into()));
        assert_eq!(suggested("bakend.7"), Some("backend".into()));
        for unknown in
            ["", "mysql", ".", "backend.", "backend.00", "backend.-1", "[", "[!", "[]", "web-[", "🦊"]
        {
            assert!(meant(&[unknown]).is_err(), "{unknown}");
        }
        assert!(resolve(&["all".into()], &[]).is_err());
    }

    #[test]
    fn a_refusal_names_the_name_and_the_nearest() {
        let refusal = Refusal::from(meant(&["ngnix"]).unwrap_err());
        assert_eq!(refusal.to_string(), "there is no program `ngnix`; did you mean `nginx`?");
        let refusal = Refusal::from(meant(&["x*"]).unwrap_err());
        assert_eq!(
            refusal.to_string(),
            "there is no program `x*`; there are `backend`, `web-1`, `web-2`, `nginx`"
        );
    }

    #[test]
    fn a_request_with_many_names_costs_a_lookup_each_and_one_with_many_globs_is_refused() {
        let programs: Vec<String> = (0..2_000).map(|number| format!("program-{number}")).collect();
        let known: Vec<(&str, u16)> = programs.iter().map(|name| (name.as_str(), 3)).collect();
        let names: Vec<String> = (0..12_000).map(|at| format!("program-{}.{}", at % 2_000, at % 3)).collect();
        // Each of the 6,000 instances once: in one turn of the loop, so quickly that no clock is needed to see it.
        assert_eq!(resolve(&names, &known).unwrap().len(), 6_000);
        // A thousand times the same costs what one does.
        let same = vec!["*".to_owned(); 16_000];
        assert_eq!(resolve(&same, &known).unwrap().len(), 6_000);
        let globs: Vec<String> = (0..101).map(|at| format!("*{at}")).collect();
        assert_eq!(resolve(&globs, &known).unwrap_err(), NameError::TooManyGlobs(101));
    }

    proptest! {
        #[test]
        fn a_filter_and_a_resolution_agree(
            names in proptest::collection::vec(r"(all|nginx|backend|backend\.1|web-1|\[bw\]\*|\*\.1|\*)", 1..4),
        ) {
            let filter = NameFilter::new(&names).unwrap();
            let meant = resolve(&names, &KNOWN).unwrap();
            for (position, &(name, count)) in KNOWN.iter().enumerate() {
                for instance in 0..count {
                    prop_assert_eq!(filter.matches(name, instance), meant.contains(&(position, instance)));
                }
            }
        }
    }
}
