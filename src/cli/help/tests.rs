use super::*;

use expect_test::expect;

#[test]
fn the_overview_groups_verbs_by_task() {
    expect![[r#"
        foster: the first process of a container: init and process manager

        usage: foster [VERB] [FLAGS] [NAME...]
               foster [FLAGS] -- COMMAND [ARG...]

        Run and check
          run          Run the programs of a configuration (also without a verb)
          check        Check the configuration and print the start order
          init         Write a first configuration for what the image contains
          migrate      Print another tool's configuration as TOML

        Inspect
          status       Show the state of programs
          top          Show programs and output on a screen that repaints itself
          logs         Show the last lines of output
          events       Show state changes and their causes
          doctor       Show what foster finds in its environment

        Operate
          start        Start programs and wait until they are ready
          stop         Stop programs and wait until they have stopped
          restart      Stop programs and start them again
          reload       Make programs read their own configuration again
          signal       Send a signal to programs
          scale        Change the number of instances of a program
          run-job      Run a job now and wait for its end
          update       Read the configuration again and apply the changes
          exec         Run a command in the environment of a program
          shutdown     Stop everything in order and end the container

        For the orchestrator
          health       Report whether everything is ready and healthy
          wait         Wait until programs are ready

        About foster
          schema       Print the JSON Schema of foster.toml, for editors
          completions  Print a script that completes foster's command lines
          version      Print the version
          help         Print the overview, or the help of one verb

        A NAME is a program (backend), one of its instances (backend.0), a glob
        ('web*'), or all.

        Flags that most verbs take
              --socket PATH  The socket (default: $FOSTER_SOCKET or as configured)
          -c, --config FILE  The configuration (default: $FOSTER_CONFIG, usual paths)
              --json         Print JSON
          -h, --help         Print help
          -V, --version      Print the version

        The bare init, `foster [FLAGS] -- COMMAND`, runs one command, reaps zombies,
        forwards signals, and exits with its status. A SIG is a name or a number.
          -g, --group             Pass signals on to the command's whole process group
          -p, --parent-death SIG  Signal to receive when the parent process dies
          -r, --rewrite A:B       Pass signal A on as B; A:0 drops it; may be repeated
          -e, --remap-exit CODE   Turn this exit code into 0; may be repeated
          -w, --report-zombies    Report each zombie that is reaped
          -s, --subreaper         Adopt orphans; the default unless foster is PID 1
          -v, --verbose           Report each step on stderr

        Exit status
          0    done
          1    it failed for a program, or there is no such name
          2    the command line or the configuration is invalid
          3    (status) a program that should be running is not
          4    no supervisor answers at the socket

        `foster help VERB` explains a verb.
    "#]]
    .assert_eq(&overview());
}

#[test]
fn the_help_of_a_verb_shows_its_whole_row() {
    expect![[r#"
        foster logs: Show the last lines of output

        usage: foster logs [FLAGS] [NAME...]

        Prints the lines that foster keeps in memory, of all programs or of those named.
        With --json each line is an object. With -f it follows new lines, also those of
        programs that are added later, and exits with 0 when foster has shut down, or
        when no program has that name. A message marks where lines are missing.

        Also: log, tail

        Flags
          -n, --lines N      Only the last N (default: all in memory)
          -f, --follow       Follow new ones until interrupted
              --since TIME   Only lines newer than this, such as 10m
          -t, --timestamps   Show when each line was written
              --json         Print JSON
              --socket PATH  The socket (default: $FOSTER_SOCKET or as configured)
          -c, --config FILE  The configuration (default: $FOSTER_CONFIG, usual paths)
          -h, --help         Print help

        Examples
          foster logs -n 20 backend   the last 20 lines of backend
          foster logs -f              follow all programs
          foster logs -t --since 10m  the last ten minutes, with times

        Exit status
          0  done
          1  there is no such name
          2  the command line is invalid
          4  no supervisor answers
    "#]]
    .assert_eq(&Verb::by_name("logs").map(of).unwrap_or_default());
    expect![[r#"
        foster run: Run the programs of a configuration (also without a verb)

        usage: foster run [FLAGS] [FILE]

        Starts the programs in order, restarts them when they fail, and stops them in
        reverse order: the command for a container's CMD. When a program ends the
        container, foster exits with its status. The configuration is the first of FILE,
        -c, $FOSTER_CONFIG, /etc/foster/foster.toml, /etc/foster.toml, ./foster.toml.

        With --detach foster runs in a new session, also after a logout. The
        command returns when all that starts with foster is ready, or, with the reason
        and status 1, when a start fails. The log is rotated: log_max_size and log_keep
        of the configuration.

        Flags
          -d, --detach         Run in the background; return when all is ready
              --pid-file PATH  With --detach: a file for the pid
              --log PATH       With --detach: a file for the output (default: none)
          -c, --config FILE    The configuration (default: $FOSTER_CONFIG, usual paths)
          -h, --help           Print help

        Examples
          foster run                      use the first configuration found
          foster run app.toml             use this one
          foster run -d --log foster.log  on a machine without a container

        Exit status
          0  it was stopped by request, every program succeeded, or (-d) all is ready
          1  another foster is running here, or foster cannot continue
          2  the command line or the configuration is invalid
    "#]]
    .assert_eq(&Verb::by_name("run").map(of).unwrap_or_default());
}

#[test]
fn no_page_is_wider_than_a_terminal() {
    for page in commands::all().map(of).chain([overview()]) {
        for line in page.lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert_eq!(line, line.trim_end());
        }
        assert!(!page.contains("\n\n\n") && page.ends_with('\n'));
    }
}

#[test]
fn the_help_of_events_names_every_event_and_state() {
    let about = Verb::by_name("events").map_or("", |verb| verb.about);
    let words: Vec<&str> = about.split([' ', '\n', ',', '.']).collect();
    for event in foster_core::action::EventName::ALL {
        assert!(words.contains(&event.name()), "{}", event.name());
    }
    for state in foster_core::action::StateName::ALL {
        assert!(words.contains(&state.name()), "{}", state.name());
    }
}
