use super::*;

use proptest::prelude::*;

/// The candidates at the end of a line; a line that ends with a space has an empty last word.
fn completed(line: &str) -> Candidates {
    let mut words = shell_words::split(line).unwrap();
    if line.is_empty() || line.ends_with(' ') {
        words.push(String::new());
    }
    fitting(&words)
}

fn words(line: &str) -> Vec<String> {
    match completed(line) {
        Candidates::Words(words) => words.into_iter().map(|candidate| candidate.text).collect(),
        other @ (Candidates::Files | Candidates::Names(_)) => panic!("{line}: {other:?}"),
    }
}

fn names(socket: Option<&str>, config: Option<&str>) -> Candidates {
    Candidates::Names(Endpoint { socket: socket.map(PathBuf::from), config: config.map(PathBuf::from) })
}

#[test]
fn without_a_verb_every_verb_is_a_candidate() {
    let verbs: Vec<&str> = commands::all().map(|verb| verb.name).collect();
    for line in ["", "st", "--socket /s ", "-c foster.toml ", "--json st", "help "] {
        assert_eq!(words(line), verbs, "{line}");
    }
}

#[test]
fn every_verb_has_its_flags_and_every_argument_its_kind() {
    for verb in commands::all() {
        let flags = words(&format!("{} --", verb.name));
        let expected = verb.flags.iter().map(|flag| format!("--{}", flag.long)).chain(["--help".to_owned()]);
        assert_eq!(flags, expected.collect::<Vec<_>>(), "{}", verb.name);
        match argument(verb, 0) {
            Some("NAME") => assert_eq!(completed(&format!("{} ", verb.name)), names(None, None)),
            Some("FILE") => assert_eq!(completed(&format!("{} ", verb.name)), Candidates::Files),
            Some("") => assert!(words(&format!("{} ", verb.name)).is_empty(), "{}", verb.name),
            Some(_) => assert!(!words(&format!("{} ", verb.name)).is_empty(), "{}", verb.name),
            None => panic!("`split` gives at least one piece"),
        }
    }
    assert!(words("-").contains(&"--version".to_owned()));
    assert_eq!(words("-").iter().filter(|flag| *flag == "--json").count(), 1);
}

#[test]
fn names_are_completed_as_often_as_the_verb_takes_them_and_signals_once() {
    assert_eq!(completed("stop a b --no-wait c"), names(None, None));
    assert_eq!(words("signal ").first().map(String::as_str), Some("HUP"));
    assert_eq!(completed("signal HUP "), names(None, None));
    assert_eq!(completed("signal HUP a "), names(None, None));
    assert_eq!(words("completions "), ["bash", "zsh", "fish"]);
    for line in ["shutdown ", "help status ", "completions bash ", "shutdown x y "] {
        assert_eq!(words(line), [""; 0], "{line}");
    }
}

#[test]
fn the_options_of_the_line_select_the_supervisor() {
    for line in ["--socket /s stop ", "stop --socket /s ", "stop --socket=/s ", "stop --socket = /s "] {
        assert_eq!(completed(line), names(Some("/s"), None), "{line}");
    }
    for line in ["-c a.toml stop ", "stop -ca.toml ", "stop --config=a.toml x", "logs -fc a.toml "] {
        assert_eq!(completed(line), names(None, Some("a.toml")), "{line}");
    }
}

#[test]
fn the_value_of_a_flag_is_a_file_or_unknown() {
    for line in ["run -c ", "--socket ", "status --config x", "status --socket ="] {
        assert_eq!(completed(line), Candidates::Files, "{line}");
    }
    for line in ["logs -n ", "wait --timeout 1", "logs -fn "] {
        assert_eq!(words(line), [""; 0], "{line}");
    }
}

#[test]
fn states_and_events_are_completed_as_a_list() {
    let states = StateName::ALL.map(StateName::name);
    assert_eq!(words("events --state "), states);
    assert!(words("events --state fatal,").contains(&"fatal,backoff".to_owned()));
    assert!(words("events --event e").contains(&"exited".to_owned()));
}

#[test]
fn after_two_dashes_or_an_unknown_verb_there_are_no_words() {
    assert_eq!(completed("stop -- "), Candidates::Files);
    assert_eq!(words("deploy "), [""; 0]);
    assert_eq!(words("deploy --"), [""; 0]);
}

#[test]
fn each_shell_has_its_own_format() {
    let candidates = [Candidate::new("a:b", "what: it is"), Candidate::new("c", "")];
    assert_eq!(Shell::Bash.render(&candidates), "a:b\nc\n");
    assert_eq!(Shell::Zsh.render(&candidates), "a\\:b:what: it is\nc:\n");
    assert_eq!(Shell::Fish.render(&candidates), "a:b\twhat: it is\nc\t\n");
}

proptest! {
    #[test]
    fn any_line_is_completed_without_a_panic(
        words in proptest::collection::vec("(status|signal|--socket|-c|-fn|--|-|=|--=|\\PC{0,6})", 0..6),
    ) {
        let _ = fitting(&words);
    }
}
