//! What people write in a command that only a shell would understand, or that puts a program into the background.
//!
//! Nothing here is an error: a program may want a `$` or a `~` as it is. Each finding is a part of the command and
//! a sentence for a warning. Pure: words in, sentences out.

/// A part of a command as it was written, and what to say about it.
pub(super) type Habit = (String, String);

/// What is noticed in the words of a command.
pub(super) fn habits(words: &[String]) -> Vec<Habit> {
    let mut found = Vec::new();
    found.extend(first_word(words));
    if let [only] = words
        && only.contains(char::is_whitespace)
        && !only.contains('/')
    {
        let message = "the whole command is one word with blanks in it: write each argument as a string of its list, \
                       or the whole command as one string";
        found.push((only.clone(), message.to_owned()));
    }
    for (index, word) in words.iter().enumerate() {
        if is_script(words, index) {
            continue;
        }
        if word == "~" || word.starts_with("~/") {
            let message = format!(
                "`{word}` is passed on as it is, no shell is run: write the whole path, or `${{HOME}}`"
            );
            found.push((word.clone(), message));
        }
        if index > 0 && word.contains("$(") && word.contains(')') {
            let message = format!(
                "`{word}` is passed on as it is, no shell is run: use `[\"sh\", \"-c\", \"…\"]` if one is meant"
            );
            found.push(("$(".to_owned(), message));
        }
    }
    found
}

/// What a shell would have understood of the first word.
fn first_word(words: &[String]) -> Option<Habit> {
    let first = words.first()?;
    let message = match first.as_str() {
        "exec" => "`exec` is a command of shells, and no shell is run: leave it out".to_owned(),
        "cd" => "`cd` is a command of shells, and no shell is run: use the key `directory`".to_owned(),
        "export" => {
            "`export` is a command of shells, and no shell is run: use the key `environment`".to_owned()
        }
        "ulimit" => "`ulimit` is a command of shells, and no shell is run: use the key `limits`".to_owned(),
        "umask" => "`umask` is a command of shells, and no shell is run: use the key `umask`".to_owned(),
        "source" | "." | "set" | "trap" | "eval" | "if" | "for" | "while" => format!(
            "`{first}` is a command of shells, and no shell is run: use `[\"sh\", \"-c\", \"…\"]` if one is meant"
        ),
        text => {
            let (name, value) = text.split_once('=').filter(|(name, _)| is_variable(name))?;
            format!(
                "`{text}` is taken as the command, no shell is run: use `environment = {{ {name} = \"{value}\" }}`"
            )
        }
    };
    Some((first.clone(), message))
}

/// Whether this word is a script for another program, which may expand it: it follows `-c`, as in `sh -c`.
pub(super) fn is_script(words: &[String], index: usize) -> bool {
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
    let before = words.get(..index).unwrap_or(words);
    before.iter().any(|word| is_flag(word) || interprets(word))
}

/// The variables of a shell in a text as it was written: `$PORT`, but not `${PORT}`, `$$PORT` or nginx' `$host`.
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

/// A program that goes into the background, or is asked to: its main process ends at once.
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
            (!runs && !stays).then_some("add `-g \"daemon off;\"`, if nginx.conf does not have it")
        }
        "redis-server" => (value("--daemonize") == Some("yes")).then_some("leave `--daemonize yes` out"),
        "gunicorn" => (has("--daemon") || has("-D")).then_some("leave `--daemon` out"),
        "memcached" | "haproxy" => (has("-d") && name == "memcached" || has("-D") && name == "haproxy")
            .then_some("leave that flag out"),
        "mongod" => has("--fork").then_some("leave `--fork` out"),
        "php-fpm" => (has("-D") || has("--daemonize")).then_some("use `-F`"),
        "sshd" => (!has("-D") && !has("-t") && !has("-T")).then_some("add `-D`"),
        "cron" | "crond" => (!has("-f") && !has("-n") && !has("-d")).then_some("add `-f`"),
        "apache2ctl" | "apachectl" => has("start").then_some("use `-D FOREGROUND`"),
        "service" | "systemctl" | "rc-service" => {
            (has("start") || has("restart")).then_some("run the server itself as the command")
        }
        "nohup" => Some("leave `nohup` out"),
        "postfix" => has("start").then_some("use `postfix start-fg`"),
        _ => None,
    }?;
    let message =
        format!("`{name}` goes into the background, and foster needs it in the foreground: {message}");
    Some((first.clone(), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        shell_words::split(text).expect("words")
    }

    #[test]
    fn what_only_a_shell_understands_is_noticed() {
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
    fn what_is_right_is_not_noticed() {
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
    fn a_variable_of_a_shell_is_one_that_foster_does_not_expand() {
        for (text, names) in [
            ("$PORT", vec!["PORT"]),
            ("a:$PORT/$DB_HOST", vec!["PORT", "DB_HOST"]),
            ("${PORT} $$PORT $host $1 $ $A $Port $", vec![]),
        ] {
            assert_eq!(shell_variables(text), names, "{text}");
        }
    }

    #[test]
    fn a_daemon_is_noticed_unless_it_is_told_to_stay() {
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
