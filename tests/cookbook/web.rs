//! Recipes of web servers.

use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::recipe::{Recipe, request};
use crate::support::{End, Running, binary};

fn body(foster: &Running, port: u16, target: &str) -> String {
    request(foster, port, target).map(|(_, body)| body).unwrap_or_default()
}

/// Stops it as `docker stop` does: with success, and nothing had to be killed.
#[track_caller]
pub(super) fn assert_stops(mut foster: Running) {
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    assert!(!foster.output().has_line("did not stop within"), "{}", foster.output().shown());
}

/// Sends one request after the other while a verb is carried out: each is answered with 200.
#[track_caller]
fn assert_serves_during(foster: &Running, verb: &[&str], port: u16) {
    let mut client = Command::new(binary());
    client.args(verb).env("FOSTER_SOCKET", foster.path("foster.sock")).stdout(Stdio::null());
    let mut client = client.spawn().expect("the client");
    let mut answers = 0;
    while client.try_wait().expect("its exit").is_none() {
        let answer = request(foster, port, "/");
        let is_ok = answer.as_ref().is_some_and(|(status, _)| *status == 200);
        assert!(is_ok, "{answer:?} after {answers} answers\n{}", foster.output().shown());
        answers += 1;
    }
    assert!(client.wait().expect("its exit").success() && answers > 0, "{}", foster.output().shown());
}

#[test]
fn php_fpm_restarts_without_an_answer_502() {
    let Some(foster) = Recipe::named("nginx and php-fpm").start() else { return };
    foster.wait_for_state("nginx", "running");
    let first = request(&foster, 80, "/");
    assert!(
        first.as_ref().is_some_and(|(status, body)| *status == 200 && body.contains("served by php-fpm")),
        "{first:?}"
    );
    foster.wait_for_line(r"php +\| .*a line in the log of the container");
    foster.wait_for_line(r"nginx +\| 127\.0\.0\.1 .*GET / HTTP");
    assert_serves_during(&foster, &["restart", "php"], 80);
    let killed = foster.pid_of("php");
    kill(Pid::from_raw(killed), Signal::SIGKILL).expect("a signal");
    foster.wait_for("another php-fpm", || foster.pid_of("php") != killed);
    foster.wait_for("an answer", || request(&foster, 80, "/").is_some_and(|(status, _)| status == 200));
    foster.wait_for_state("php", "running");
    foster.verb(&["reload", "php", "nginx"]).expect(0);
    foster.wait_for("an answer", || request(&foster, 80, "/").is_some_and(|(status, _)| status == 200));
    assert_stops(foster);
}

#[test]
fn an_order_passes_from_nginx_to_gunicorn_redis_and_celery_and_beat_ticks() {
    let Some(foster) = Recipe::named("nginx, gunicorn, celery and redis").start() else { return };
    foster.wait_for_state("nginx", "running");
    for program in ["redis", "web", "worker", "beat"] {
        foster.wait_for_state(program, "running");
    }
    assert!(body(&foster, 80, "/order").contains("orders "));
    foster.wait_for("the order's task", || body(&foster, 80, "/").contains("orders 1,"));
    foster.wait_for("a tick of beat", || body(&foster, 80, "/").contains("ticks 1\n"));
    assert_stops(foster);
}

#[test]
fn a_reload_of_the_node_instances_refuses_no_request() {
    let Some(foster) = Recipe::named("A Node cluster").start() else { return };
    foster.wait_for_state("web", "running");
    let pids = |foster: &Running| -> Vec<i64> {
        foster.rows().iter().filter_map(|row| row["pid"].as_i64()).collect()
    };
    let before = pids(&foster);
    assert!(before.len() >= 2, "{before:?}");
    for instance in 0..before.len() {
        foster.wait_for("an answer of each", || body(&foster, 3000, "/") == format!("instance {instance}\n"));
    }
    assert_serves_during(&foster, &["reload", "web"], 3000);
    assert!(pids(&foster).iter().all(|pid| !before.contains(pid)));
    assert_stops(foster);
}

#[test]
fn puma_starts_when_the_migration_has_succeeded() {
    let Some(foster) = Recipe::named("puma with a migration").start() else { return };
    foster.wait_for_state("web", "running");
    assert_eq!(body(&foster, 3000, "/"), "schema 20260101000000\n");
    let log = foster.output().stderr();
    let (migrated, started) = (log.find("migrate: exited with status 0"), log.find("web: starting"));
    assert!(migrated.is_some() && migrated < started, "{log}");
    foster.verb(&["reload", "web"]).expect(0);
    foster.wait_for("an answer", || body(&foster, 3000, "/") == "schema 20260101000000\n");
    assert_stops(foster);
}
