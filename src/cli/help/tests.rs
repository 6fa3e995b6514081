use super::*;

use expect_test::expect;

#[test]
fn the_overview_lists_every_verb_by_what_it_is_for() {
    expect![[r#"
        foster: the first process of a container: init and process manager

        usage: foster [VERB] [FLAGS] [NAME...]
               foster [FLAGS] -- COMMAND [ARG...]

        Run and check
          run          Run the programs of a configuration (also without a verb)
          check        Check the configuration, and print the order of starts

        Look
          status       Show the state of programs
          logs         Show the last lines of output
          events       Show what happened, and why
          doctor       Show what foster sees of its environment, and what it means

        Operate
          start        Start programs, and wait until they are ready
          stop         Stop programs, and wait until they are down
          restart      Stop programs, and start them again
          reload       Have programs read their own configuration again
          signal       Send a signal to programs
          update       Read the configuration again, and apply what changed
          exec         Run a command as a program would run it
          shutdown     Stop everything in order, and end the container

        For the orchestrator
          health       Tell whether everything is ready and healthy
          wait         Wait until programs are ready

        About foster
          schema       Print the JSON Schema of foster.toml, for editors
          completions  Print a script that completes foster's command lines
          version      Print the version
          help         Print this, or all about one verb

        A NAME is a program (backend), one of its instances (backend.0), a glob
        ('web*'), or all.

        Flags that most verbs take
              --socket PATH  The socket (default: $FOSTER_SOCKET, the configuration)
          -c, --config FILE  The configuration (default: $FOSTER_CONFIG, usual places)
              --json         Print JSON
          -h, --help         Print help
          -V, --version      Print the version

        The bare init, `foster [FLAGS] -- COMMAND`, runs one command, reaps zombies,
        forwards signals, and ends as the command does. A SIG is a name or a number.
          -g, --group             Pass signals on to the command's whole process group
          -p, --parent-death SIG  Get this signal when the parent dies
          -r, --rewrite A:B       Pass signal A on as B; A:0 drops it; may be repeated
          -e, --remap-exit CODE   Turn this exit code into 0; may be repeated
          -w, --report-zombies    Say which zombies were reaped
          -s, --subreaper         Adopt orphans; on by itself where foster is not PID 1
          -v, --verbose           Say what is done, on stderr

        Exit status
          0    done
          1    it failed, a program is not as asked, or there is no such name
          2    the command line or the configuration is wrong
          3    (status) a program that should be running is not
          4    no supervisor answers at the socket

        `foster help VERB` tells all about a verb.
    "#]]
    .assert_eq(&overview());
}

#[test]
fn the_help_of_a_verb_tells_all_about_it() {
    expect![[r#"
        foster logs: Show the last lines of output

        usage: foster logs [FLAGS] [NAME...]

        Of all programs, or of those named, as far as foster keeps them in memory. With
        --json each line is an object. With -f it goes on, also with programs that
        appear later, and ends with 0 when foster has ended in order, or no program has
        that name any longer. A note says where lines are missing.

        Also: log, tail

        Flags
          -n, --lines N      Only the last N (default: all that are kept)
          -f, --follow       Go on with new ones, until interrupted
              --since TIME   Only what is not older than this, such as 10m
          -t, --timestamps   Show when each line was written
              --json         Print JSON
              --socket PATH  The socket (default: $FOSTER_SOCKET, the configuration)
          -c, --config FILE  The configuration (default: $FOSTER_CONFIG, usual places)
          -h, --help         Print help

        Examples
          foster logs -n 20 backend   its last 20 lines
          foster logs -f              of all programs, as it comes
          foster logs -t --since 10m  of the last ten minutes, with times

        Exit status
          0  done
          1  there is no such name
          2  the command line is wrong
          4  no supervisor answers
    "#]]
    .assert_eq(&Verb::by_name("logs").map(of).unwrap_or_default());
    expect![[r#"
        foster run: Run the programs of a configuration (also without a verb)

        usage: foster run [FLAGS] [FILE]

        Starts the programs in order, restarts them when they fail, and stops them in
        reverse order. This is what a container's CMD says. When a program or task ends
        the container, foster exits with its status. The configuration is FILE, -c,
        $FOSTER_CONFIG, /etc/foster/foster.toml, /etc/foster.toml or ./foster.toml:
        the first of these.

        Flags
          -c, --config FILE  The configuration (default: $FOSTER_CONFIG, usual places)
          -h, --help         Print help

        Examples
          foster run           with ./foster.toml, or where else it is
          foster run app.toml  with this file

        Exit status
          0  ordered to stop, or everything ended with success
          1  another foster answers at the socket, or foster cannot go on
          2  the command line or the configuration is wrong
    "#]]
    .assert_eq(&Verb::by_name("run").map(of).unwrap_or_default());
}

#[test]
fn no_page_is_wider_than_a_terminal() {
    for page in COMMANDS.iter().map(of).chain([overview()]) {
        for line in page.lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert_eq!(line, line.trim_end());
        }
        assert!(!page.contains("\n\n\n") && page.ends_with('\n'));
    }
}

#[test]
fn the_help_of_events_names_every_event() {
    let about = Verb::by_name("events").map_or("", |verb| verb.about);
    let words: Vec<&str> = about.split([' ', '\n', ',', '.']).collect();
    for event in foster_core::action::EventName::ALL {
        assert!(words.contains(&event.name()), "{}", event.name());
    }
}
