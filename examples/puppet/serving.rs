//! The puppet as an HTTP server: with the status that a test asks for, or failing in a given way.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// `PORT:STATUS` or `PORT:STATUS:PATH`: answers every request with STATUS; with 200 once there is a file at PATH.
pub(crate) fn http(text: &str) {
    let mut parts = text.split(':');
    let port: u16 = parts.next().and_then(|port| port.parse().ok()).expect("http:PORT:STATUS");
    let status = parts.next().expect("http:PORT:STATUS").to_owned();
    let ready = parts.next().map(str::to_owned);
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("bind");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            drop(stream.read(&mut [0; 4096]));
            let status = match &ready {
                Some(path) if Path::new(path).exists() => "200",
                Some(_) | None => &status,
            };
            let reply =
                format!("HTTP/1.1 {status} As asked\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
            drop(stream.write_all(reply.as_bytes()));
        }
    });
}

/// `PORT:ILLNESS:PATH`: answers every request with 200; as long as there is a file at PATH it is ill in this way.
/// Each connection has a thread, as in a server that many ask.
pub(crate) fn serve(text: &str) {
    let (port, rest) = text.split_once(':').expect("serve:PORT:ILLNESS:PATH");
    let (illness, path) = rest.split_once(':').expect("serve:PORT:ILLNESS:PATH");
    let (illness, path) = (illness.to_owned(), path.to_owned());
    let listener = TcpListener::bind(("127.0.0.1", port.parse().expect("a port"))).expect("bind");
    thread::spawn(move || {
        loop {
            while illness == "hangs" && Path::new(&path).exists() {
                thread::sleep(Duration::from_millis(5));
            }
            let Ok((stream, _)) = listener.accept() else { return };
            let illness = if Path::new(&path).exists() { illness.clone() } else { String::new() };
            thread::spawn(move || answer(stream, &illness));
        }
    });
}

fn answer(mut stream: TcpStream, illness: &str) {
    drop(stream.read(&mut [0; 4096]));
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";
    // The other side may be gone, and then nothing follows.
    drop(match illness {
        "" => stream.write_all(&[&head[..], b"ok\n"].concat()),
        "closes" => Ok(()),
        // What hangs has accepted one more before it accepts none.
        "silent" | "hangs" => stream.read_to_end(&mut Vec::new()).map(drop),
        "error" => stream.write_all(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
        "drips" => head.iter().try_for_each(|byte| {
            thread::sleep(Duration::from_secs(1));
            stream.write_all(&[*byte])
        }),
        // A gigabyte of a header field.
        "floods" => {
            let piece = [b'x'; 65536];
            let begin = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Flood: ");
            begin.and_then(|()| (0..16384).try_for_each(|_| stream.write_all(&piece)))
        }
        unknown => {
            eprintln!("puppet: no illness is called `{unknown}`");
            std::process::exit(125);
        }
    });
}
