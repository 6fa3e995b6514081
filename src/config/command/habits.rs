//! Mistakes in commands: shell syntax without a shell, and programs that go into the background.
//!
//! They are warnings, not errors: a program may expect a literal `$` or `~`. Each is a part of the command and a
//! sentence. Pure: words in, sentences out.

/// A part of a command, and the warning about it.
pub(super) type Habit = (String, String);

/// The shell habits in the words of a command.
pub(super) fn habits(words: &[String]) -> Vec<Habit> {
    let mut found = Vec::new();
    found.extend(first_word(words));
    if let [only] = words
        && only.contains(char::is_whitespace)
        && !only.contains('/')
    {
        let message = "the command is one word with blanks: write each argument as an element of the list, \
                       or the command as one string";
        found.push((only.clone(), message.to_owned()));
    }
    for (index, word) in words.iter().enumerate().take(first_script(words).unwrap_or(usize::MAX)) {
        if word == "~" || word.starts_with("~/") {
            let message = format!(
                "`{word}` is not expanded, because no shell runs: write the full path, or `${{HOME}}`"
            );
            found.push((word.clone(), message));
        }
        if index > 0 && word.contains("$(") && word.contains(')') {
            let message =
                format!("`{word}` is not expanded, because no shell runs: use `[\"sh\", \"-c\", \"…\"]`");
            found.push(("$(".to_owned(), message));
        }
    }
    found
}

/// A shell's builtin or assignment as the first word.
fn first_word(words: &[String]) -> Option<Habit> {
    let first = words.first()?;
    let message = match first.as_str() {
        "exec" => "`exec` is a shell builtin, and no shell runs: remove it".to_owned(),
        "cd" => "`cd` is a shell builtin, and no shell runs: use the key `directory`".to_owned(),
        "export" => "`export` is a shell builtin, and no shell runs: use the key `environment`".to_owned(),
        "ulimit" => "`ulimit` is a shell builtin, and no shell runs: use the key `limits`".to_owned(),
        "umask" => "`umask` is a shell builtin, and no shell runs: use the key `umask`".to_owned(),
        "source" | "." | "set" | "trap" | "eval" | "if" | "for" | "while" => {
            format!("`{first}` is a shell builtin, and no shell runs: use `[\"sh\", \"-c\", \"…\"]`")
        }
        text => {
            let (name, value) = text.split_once('=').filter(|(name, _)| is_variable(name))?;
            format!(
                "`{text}` would be run as the command, because no shell runs: use `environment = {{ {name} = \"{value}\" }}`"
            )
        }
    };
    Some((first.clone(), message))
}

/// The first word that may be a script for a program that expands it itself: it follows `-c`, as in `sh -c`. So may those after it.
pub(super) fn first_script(words: &[String]) -> Option<usize> {
    let interprets = |word: &String| {
        let name = word.rsplit('/').next().unwrap_or(word);
        matches!(name, "awk" | "gawk" | "mawk" | "perl" | "sed" | "make")
    };
    let is_flag = |word: &String| {
        word.strip_prefix('-').is_some_and(|letters| {
            letters.ends_with('c')
                && letters.len() <= 4
                && letters.chars().all(|char| char.is_ascii_alphabetic())
        })
    };
    words.iter().position(|word| is_flag(word) || interprets(word)).map(|at| at + 1)
}

/// The shell variables in an unexpanded text: `$PORT`, but not `${PORT}`, `$$PORT` or `$host` of nginx.
pub(super) fn shell_variables(written: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = written;
    while let Some((_, behind)) = rest.split_once('$') {
        if let Some(after) = behind.strip_prefix('$') {
            rest = after;
            continue;
        }
        let is_part = |char: char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_';
        let end = behind.find(|char| !is_part(char)).unwrap_or(behind.len());
        let name = behind.get(..end).unwrap_or("");
        let ends = !behind.get(end..).unwrap_or("").starts_with(|char: char| char.is_ascii_alphanumeric());
        if name.len() > 1 && ends && name.starts_with(|first: char| first.is_ascii_uppercase()) {
            found.push(name);
        }
        rest = behind;
    }
    found
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

/// A program that goes into the background: its main process would exit at once.
pub(super) fn background(words: &[String]) -> Option<Habit> {
    let first = words.first()?;
    let name = first.rsplit('/').next().unwrap_or(first);
    let arguments = words.get(1..).unwrap_or(&[]);
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let value = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let message = match name {
        "nginx" => {
            let runs = ["-t", "-T", "-v", "-V", "-h", "-s", "-c"].iter().any(|flag| has(flag));
            let stays = arguments.iter().any(|argument| argument.contains("daemon off"));
            (!runs && !stays).then_some("add `-g \"daemon off;\"` unless nginx.conf has it")
        }
        "redis-server" => (value("--daemonize") == Some("yes")).then_some("remove `--daemonize yes`"),
        "gunicorn" => (has("--daemon") || has("-D")).then_some("remove `--daemon`"),
        "memcached" | "haproxy" => {
            (has("-d") && name == "memcached" || has("-D") && name == "haproxy").then_some("remove that flag")
        }
        "mongod" => has("--fork").then_some("remove `--fork`"),
        "php-fpm" => (has("-D") || has("--daemonize")).then_some("use `-F`"),
        "sshd" => (!has("-D") && !has("-t") && !has("-T")).then_some("add `-D`"),
        "cron" | "crond" => (!has("-f") && !has("-n") && !has("-d")).then_some("add `-f`"),
        "apache2ctl" | "apachectl" => has("start").then_some("use `-D FOREGROUND`"),
        "service" | "systemctl" | "rc-service" => {
            (has("start") || has("restart")).then_some("run the server itself as the command")
        }
        "nohup" => Some("remove `nohup`"),
        "postfix" => has("start").then_some("use `postfix start-fg`"),
        _ => None,
    }?;
    let message =
        format!("`{name}` goes into the background, but foster needs it in the foreground: {message}");
    Some((first.clone(), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        shell_words::split(text).expect("words")
    }

    #[test]
    fn shell_syntax_is_found() {
        for text in [
            "NODE_ENV=production node app.js",
            "exec gunicorn app:app",
            "cd /app",
            "~/bin/web",
            "web --dir ~/data",
            "web --date $(date)",
            "'nginx -g \"daemon off;\"'",
        ] {
            assert_eq!(habits(&words(text)).len(), 1, "{text}");
        }
    }

    #[test]
    fn valid_commands_have_no_findings() {
        for text in [
            "sh -c 'cd /app && exec web --port $PORT'",
            "bash -lc '~/bin/web $(date)'",
            "su app -s /bin/sh -c 'exec web $HOME'",
            "env A=b web",
            "web --set key=value a~b",
            "'/opt/my app/web'",
            "awk '{ print $NF }'",
        ] {
            assert_eq!(habits(&words(text)), [], "{text}");
            assert_eq!(background(&words(text)), None, "{text}");
        }
    }

    #[test]
    fn a_shell_variable_is_one_that_foster_does_not_expand() {
        for (text, names) in [
            ("$PORT", vec!["PORT"]),
            ("a:$PORT/$DB_HOST", vec!["PORT", "DB_HOST"]),
            ("${PORT} $$PORT $host $1 $ $A $Port $", vec![]),
        ] {
            assert_eq!(shell_variables(text), names, "{text}");
        }
    }

    #[test]
    fn a_daemon_is_found_unless_it_stays_in_the_foreground() {
        for text in [
            "nginx",
            "/usr/sbin/nginx -p /x",
            "redis-server /etc/redis.conf --daemonize yes",
            "gunicorn -D app:app",
            "/usr/sbin/sshd",
            "cron",
            "service nginx start",
            "postfix start",
        ] {
            assert!(background(&words(text)).is_some(), "{text}");
        }
        for text in [
            "nginx -g 'daemon off;'",
            "nginx -c /app/nginx.conf",
            "nginx -s reload",
            "redis-server --daemonize no",
            "sshd -D -e",
            "cron -f",
            "postfix start-fg",
            "gunicorn app:app",
        ] {
            assert_eq!(background(&words(text)), None, "{text}");
        }
    }
}
