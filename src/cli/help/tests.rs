use super::*;

use expect_test::expect;

#[test]
fn the_overview_lists_every_verb_by_what_it_is_for() {
    expect![[r#"
        foster: the first process of a container: init and process manager

        usage: foster [VERB] [FLAGS] [NAME...]
               foster [FLAGS] -- COMMAND [ARG...]

        Run and check
          run          Run what the configuration says (also without a verb)
          check        Check the configuration, and print the order of starts

        Look
          status       Show how programs stand
          logs         Show the last lines of output
          events       Show what happened, and why
          doctor       Show what foster sees of its surroundings, and what it means

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
          health       Tell whether all is ready and healthy
          wait         Wait until programs are ready

        About foster
          schema       Print the JSON Schema of foster.toml, for editors
          completions  Print what makes a shell complete foster's command lines
          version      Print the version
          help         Print this, or all about one verb

        A NAME is a program, task or job (backend), one of its instances (backend.0), a
        glob ('web*'), or all.

        Flags that most verbs take
              --socket PATH  The socket (else $FOSTER_SOCKET, else the configuration's)
          -c, --config FILE  The configuration (else $FOSTER_CONFIG, the usual places)
              --json         Print JSON, for machines
          -h, --help         Print help, and do nothing else
          -V, --version      Print the version, and do nothing else

        The bare init, `foster [FLAGS] -- COMMAND`, runs one command, reaps zombies,
        passes signals on, and ends as the command does. A SIG is a name or a number.
          -g, --group             Pass signals on to the command's whole process group
          -p, --parent-death SIG  Get this signal when the parent dies
          -r, --rewrite A:B       Pass signal A on as B; A:0 drops it; may be repeated
          -e, --remap-exit CODE   Turn this exit code into 0; may be repeated
          -w, --report-zombies    Say which zombies were reaped
          -s, --subreaper         Adopt orphans; on by itself where foster is not PID 1
          -v, --verbose           Say what is done, on stderr

        `foster help VERB` tells all about a verb.
    "#]]
    .assert_eq(&overview());
}

#[test]
fn the_help_of_a_verb_tells_all_about_it() {
    expect![[r#"
        foster logs: Show the last lines of output

        usage: foster logs [FLAGS] [NAME...]

        As far as foster keeps them in memory. With --json each is an object on a line
        of its own. With -f also those of programs that appear later; it ends with 0
        when foster has ended in order, or nobody is called so any more. A reader who is
        too slow is told that it has missed lines.

        Flags
          -n, --lines N      Only the last N; else all that are kept
          -f, --follow       Go on with what comes from now on, until interrupted
              --json         Print JSON, for machines
              --socket PATH  The socket (else $FOSTER_SOCKET, else the configuration's)
          -c, --config FILE  The configuration (else $FOSTER_CONFIG, the usual places)
          -h, --help         Print help, and do nothing else

        Examples
          foster logs -n 20 backend  its last 20 lines
          foster logs -f             everybody's, as they come

        Exit status
          0  done
          1  there is no such name
          2  the command line is wrong
          4  no supervisor answers
    "#]]
    .assert_eq(&Verb::called("logs").map(of).unwrap_or_default());
    expect![[r#"
        foster run: Run what the configuration says (also without a verb)

        usage: foster run [FLAGS]

        Starts the programs in order, keeps them up, and ends when told to. This is what
        a container's CMD says. Where a program or task ends the container, foster ends
        with the exit status of that. The configuration is looked for in -c,
        $FOSTER_CONFIG, /etc/foster/foster.toml, /etc/foster.toml, ./foster.toml.

        Flags
          -c, --config FILE  The configuration (else $FOSTER_CONFIG, the usual places)
          -h, --help         Print help, and do nothing else

        Examples
          foster                  run ./foster.toml, or wherever it is
          foster run -c app.toml  run this one

        Exit status
          0  told to stop, or everything ended with success
          1  another foster answers at the socket, or foster cannot go on
          2  the command line or the configuration is wrong
    "#]]
    .assert_eq(&Verb::called("run").map(of).unwrap_or_default());
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
    let about = Verb::called("events").map_or("", |verb| verb.about);
    let words: Vec<&str> = about.split([' ', '\n', ',', '.']).collect();
    for event in foster_core::action::EventName::ALL {
        assert!(words.contains(&event.name()), "{}", event.name());
    }
}
