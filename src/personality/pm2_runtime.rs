//! foster called `pm2-runtime`: its command line, as that of `foster run -c FILE` and variables of foster's own.
//!
//! The variables are what an update reads, too (`config/pm2.rs`). Options that would change an app and have no equal are
//! refused; those about PM2's own work are accepted.

use std::ffi::OsString;

use serde_json::{Map, Value, json};

use crate::exit::ExitStatus;

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// The arguments of foster, and the variables.
    Run(Vec<OsString>, Vec<(&'static str, String)>),
    /// A text to print, and the exit status.
    Print(String, ExitStatus),
}

const USAGE: &str = "\
pm2-runtime -- run the apps of an ecosystem file, or a script, by foster.

Usage: pm2-runtime [start] FILE [options] [-- ARGUMENT...]

FILE is a configuration (.json, .yaml, .yml, .config.js, .config.cjs, .config.mjs), or a script.

  --env NAME            the variables of env_NAME
  --only NAME[,NAME]    only these apps
  --no-auto-exit        stay when all apps have ended
  --raw                 lines as the apps write them (default)
  --formatted           with the app's name in front
  --format              with a timestamp, too
  --json                each line as a JSON object

For a script: -i/--instances N, -n/--name NAME, --interpreter PROGRAM, --node-args ARGUMENTS, --max-memory-restart SIZE,
-c/--cron PATTERN, --stop-exit-codes CODE..., --no-autorestart, --no-autostart, --output FILE, --error FILE.
";

/// Options of PM2's that say how a line looks, and foster's word for it.
const FORMATS: [(&str, &str); 4] =
    [("raw", "raw"), ("formatted", "formatted"), ("format", "format"), ("json", "json")];
/// Options with a value that become a key of the app.
const KEYS: [(&str, &str); 9] = [
    ("instances", "instances"),
    ("name", "name"),
    ("interpreter", "interpreter"),
    ("node-args", "node_args"),
    ("max-memory-restart", "max_memory_restart"),
    ("cron", "cron_restart"),
    ("output", "out_file"),
    ("error", "error_file"),
    ("env", "env"),
];
const SHORT: [(char, &str); 3] = [('i', "instances"), ('n', "name"), ('c', "cron")];
/// Options about monitoring, with a value.
const UNUSED_VALUES: [&str; 4] = ["secret", "public", "machine-name", "web"];
/// The same without one.
const UNUSED: [&str; 5] = ["trace", "v8", "deep-monitoring", "discrete", "no-vizion"];
/// What the name of a configuration has in it, as PM2 looks for it.
const CONFIGURATIONS: [&str; 6] = [".json", ".yml", ".yaml", ".config.js", ".config.cjs", ".config.mjs"];

/// Reads a command line, without the program's own name.
pub fn read(arguments: &[OsString]) -> Invocation {
    match Reading::default().read(arguments) {
        Ok(invocation) => invocation,
        Err(message) => {
            let text = format!("[PM2][ERROR] {message}\nFor help, use pm2-runtime --help\n");
            Invocation::Print(text, ExitStatus::USAGE)
        }
    }
}

#[derive(Default)]
struct Reading {
    file: Option<String>,
    app: Map<String, Value>,
    variables: Vec<(&'static str, String)>,
    format: &'static str,
}

impl Reading {
    fn read(mut self, arguments: &[OsString]) -> Result<Invocation, String> {
        let mut words = Vec::new();
        for word in arguments {
            words.push(word.to_str().ok_or_else(|| format!("{} is not UTF-8", word.display()))?.to_owned());
        }
        let at = words.iter().position(|word| word == "--");
        let own: Vec<String> =
            at.map_or_else(Vec::new, |at| words.split_off(at)).into_iter().skip(1).collect();
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            let (option, mut value) = match word.split_once('=') {
                Some((option, value)) if word.starts_with("--") => (option, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let option = match option.strip_prefix("--") {
                Some(option) => option,
                None if word == "start" && self.file.is_none() => continue,
                None if !word.starts_with('-') || word == "-" => {
                    // PM2 takes the first as well.
                    self.file.get_or_insert(word);
                    continue;
                }
                None => {
                    let mut letters = word.chars().skip(1);
                    let known = SHORT.iter().find(|(letter, _)| letters.next() == Some(*letter));
                    match (known, word.as_str()) {
                        (Some((_, name)), _) => {
                            value = word.get(2..).filter(|rest| !rest.is_empty()).map(str::to_owned);
                            name
                        }
                        (None, "-h") => "help",
                        (None, "-v" | "-V") => "version",
                        (None, _) => return Err(format!("unknown option {word}")),
                    }
                }
            };
            match option {
                "help" => return Ok(Invocation::Print(USAGE.to_owned(), ExitStatus::DONE)),
                "version" => {
                    let text = format!("{}\n", env!("CARGO_PKG_VERSION"));
                    return Ok(Invocation::Print(text, ExitStatus::DONE));
                }
                _ => {}
            }
            let mut next =
                || value.take().or_else(|| words.next()).ok_or(format!("--{option} needs a value"));
            self.option(option, &mut next)?;
        }
        self.finish(own)
    }

    fn option(
        &mut self,
        option: &str,
        next: &mut dyn FnMut() -> Result<String, String>,
    ) -> Result<(), String> {
        if let Some((_, format)) = FORMATS.iter().find(|(name, _)| *name == option) {
            self.format = format;
        } else if let Some((name, key)) = KEYS.iter().find(|(name, _)| *name == option) {
            let value = next()?;
            match *name {
                "env" => self.variables.push(("FOSTER_PM2_ENV", value)),
                _ => drop(self.app.insert((*key).to_owned(), value.into())),
            }
        } else if UNUSED_VALUES.contains(&option) {
            next()?;
        } else if !UNUSED.contains(&option) {
            match option {
                "only" => self.variables.push(("FOSTER_PM2_ONLY", next()?)),
                "no-auto-exit" => self.variables.push(("FOSTER_PM2_AUTO_EXIT", "no".to_owned())),
                "no-autorestart" => drop(self.app.insert("autorestart".to_owned(), false.into())),
                "no-autostart" => drop(self.app.insert("autostart".to_owned(), false.into())),
                "stop-exit-codes" => {
                    let codes = next()?;
                    let list = codes.split([',', ' ']).map(Value::from).collect::<Vec<_>>();
                    self.app.insert("stop_exit_codes".to_owned(), list.into());
                }
                "watch" => {
                    return Err("--watch is not supported: the files of an image do not change".to_owned());
                }
                "delay" => {
                    return Err("--delay is not supported: `wait_ready` says when an app is up".to_owned());
                }
                _ => return Err(format!("unknown option --{option}")),
            }
        }
        Ok(())
    }

    fn finish(mut self, own: Vec<String>) -> Result<Invocation, String> {
        let Some(file) = self.file else {
            return Ok(Invocation::Print(USAGE.to_owned(), ExitStatus::FAILED));
        };
        if !CONFIGURATIONS.iter().any(|end| file.contains(end)) {
            self.app.insert("script".to_owned(), file.clone().into());
            if !own.is_empty() {
                self.app.insert("args".to_owned(), json!(own));
            }
            self.variables.push(("FOSTER_PM2_APP", Value::Object(self.app).to_string()));
        }
        let format = if self.format.is_empty() { "raw" } else { self.format };
        self.variables.push(("FOSTER_PM2_LOG", format.to_owned()));
        Ok(Invocation::Run(vec!["run".into(), "-c".into(), file.into()], self.variables))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Invocation {
        read(&words.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[track_caller]
    fn runs(words: &str, file: &str, variables: &[(&str, &str)]) {
        let Invocation::Run(arguments, found) = of(words) else { panic!("{words}") };
        assert_eq!(arguments, ["run", "-c", file], "{words}");
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(found, variables, "{words}");
    }

    #[test]
    fn a_configuration_is_run_as_the_options_say() {
        let raw = ("FOSTER_PM2_LOG", "raw");
        runs("ecosystem.config.js", "ecosystem.config.js", &[raw]);
        runs("start process.json --env production", "process.json", &[("FOSTER_PM2_ENV", "production"), raw]);
        runs(
            "--json --only a,b --no-auto-exit start e.yaml",
            "e.yaml",
            &[("FOSTER_PM2_ONLY", "a,b"), ("FOSTER_PM2_AUTO_EXIT", "no"), ("FOSTER_PM2_LOG", "json")],
        );
        runs(
            "start --env=x --format --secret s --v8 e.json -i 4",
            "e.json",
            &[("FOSTER_PM2_ENV", "x"), ("FOSTER_PM2_LOG", "format")],
        );
    }

    #[test]
    fn a_script_is_an_app_with_the_options_as_its_keys() {
        runs("app.js", "app.js", &[("FOSTER_PM2_APP", r#"{"script":"app.js"}"#), ("FOSTER_PM2_LOG", "raw")]);
        runs(
            "-i max start npm --name web --no-autorestart --stop-exit-codes 0,2 -- start --port 3",
            "npm",
            &[
                (
                    "FOSTER_PM2_APP",
                    r#"{"args":["start","--port","3"],"autorestart":false,"instances":"max","name":"web","script":"npm","stop_exit_codes":["0","2"]}"#,
                ),
                ("FOSTER_PM2_LOG", "raw"),
            ],
        );
    }

    #[test]
    fn what_foster_cannot_do_is_refused() {
        for (words, part) in [
            ("--watch app.js", "--watch"),
            ("app.js --delay 5", "--delay"),
            ("app.js --frobnicate", "--frobnicate"),
            ("a.js -z", "-z"),
            ("a.js --env", "--env needs"),
        ] {
            let Invocation::Print(text, status) = of(words) else { panic!("{words}") };
            assert!(text.contains(part) && status == ExitStatus::USAGE, "{text}");
        }
        assert!(matches!(of("--help"), Invocation::Print(_, ExitStatus::DONE)));
        assert!(matches!(of(""), Invocation::Print(_, ExitStatus::FAILED)));
    }
}
