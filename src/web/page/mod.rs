//! The page: the state of every program, the output of one, and buttons where the server may control programs.
//!
//! It works without JavaScript; with it, it follows the state and the output (`script.js`, by the events of `live.rs`). There
//! is no inline script and no inline style, so that its Content-Security-Policy permits none.
//!
//! | module | purpose |
//! | --- | --- |
//! | [`table`] | the rows |
//! | [`orders`], [`results`] | a button, and what has come of it |
//! | [`lines`], [`live`] | lines of output, server-sent events |

mod lines;
pub(super) mod live;
pub(super) mod orders;
pub(super) mod results;
mod table;

use super::answer::{Back, Context};
use super::html::{Html, query};
use super::http::{Request, Response};
use crate::control::protocol::{self, Events, Logs};
use crate::xmlrpc::processes::shown_rows;
use crate::xmlrpc::script::{Script, Stop};
use lines::{Lines, OWN_LOG};
use results::{Report, Success};

const HTML: &str = "text/html;charset=utf-8";

/// Nothing but the page's own files, and no frame around it.
const POLICY: &str = "Content-Security-Policy: default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'\r\n\
     X-Frame-Options: DENY\r\nCross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n";

pub(super) fn style() -> Response {
    Response::new(200, "text/css;charset=utf-8", include_str!("style.css"))
}

pub(super) fn script() -> Response {
    Response::new(200, "text/javascript;charset=utf-8", include_str!("script.js"))
}

/// The answer to a browser that has sent a form.
pub(super) fn sent_back(back: &Back, number: u64) -> Response {
    let place = match back {
        Back::Overview => format!("./?result={number}"),
        Back::Log(name) => format!("log?name={}&result={number}", query(name)),
    };
    let mut response = Response::of_status(303);
    response.headers = format!("Location: {place}\r\n");
    response
}

/// The state of every program.
pub(super) fn overview(
    context: Context<'_>,
    request: &Request,
    script: &mut Script,
) -> Result<Response, Stop> {
    let rows = shown_rows(script)?;
    let summary = table::Summary::of(&rows);
    let mut html = head(&summary.short(), Follow::State);
    html.raw("<header><div><h1>foster</h1><p class=\"host\">").text(host()).raw("</p></div>");
    html.raw("<p id=\"live\" class=\"summary\" hidden></p><p id=\"summary\" class=\"summary ")
        .raw(summary.class())
        .raw("\">")
        .text(summary.text());
    html.raw("</p></header><main>");
    result(&mut html, context, request);
    html.raw("<nav class=\"bar\"><a class=\"button\" href=\"./\">Refresh</a>");
    html.raw("<a class=\"button\" href=\"log\">All output</a><a class=\"button\" href=\"log?name=foster\">foster's log</a>");
    if context.server.control {
        html.raw("<form method=\"post\" action=\"order\" class=\"right\"><input type=\"hidden\" name=\"name\" value=\"all\">");
        html.raw("<button name=\"verb\" value=\"start\">Start all</button>");
        html.raw(
            "<button name=\"verb\" value=\"restart\" data-ask=\"Restart all programs?\">Restart all</button>",
        );
        html.raw(
            "<button name=\"verb\" value=\"stop\" data-ask=\"Stop all programs?\">Stop all</button></form>",
        );
    }
    html.raw("</nav><div id=\"state\">");
    table::write(&mut html, &rows, context.server.control);
    html.raw("</div></main>");
    foot(&mut html);
    Ok(finished(html))
}

/// The last lines of a program, of all programs, or of foster's own log.
pub(super) fn log(context: Context<'_>, request: &Request, script: &mut Script) -> Result<Response, Stop> {
    let lines = Lines::of(request);
    let is_own = lines.name == OWN_LOG;
    let question = match is_own {
        true => protocol::Request::Events(Events { lines: lines.count, ..Events::default() }),
        false => protocol::Request::Logs(Logs {
            names: lines.names(),
            lines: lines.count,
            since_ms: None,
            follow: false,
        }),
    };
    let answer = script.ask(question)?.clone();
    let title = match lines.name {
        "" => "All output",
        OWN_LOG => "foster's log",
        name => name,
    };
    let mut html = head(title, Follow::Log(&lines));
    html.raw("<header><div><p class=\"back\"><a href=\"./\">← All programs</a></p><h1>").text(title);
    html.raw("</h1></div><p id=\"live\" class=\"summary\" hidden></p></header><main>");
    result(&mut html, context, request);
    html.raw("<nav class=\"bar\">");
    for (words, count) in [("Last 200 lines", "200"), ("Last 1000", "1000"), ("All that are kept", "all")] {
        let is_current = count == lines.count.map_or("all".to_owned(), |count| count.to_string());
        html.raw("<a class=\"button\" href=\"log?name=").text(query(lines.name));
        html.raw("&amp;lines=").raw(count).raw("\"");
        html.raw(if is_current { " aria-current=\"page\">" } else { ">" }).raw(words).raw("</a>");
    }
    if is_own {
        html.raw("<a class=\"button\" href=\"mainlogtail\">Plain text that follows</a>");
    } else if !lines.name.is_empty() {
        html.raw("<a class=\"button\" href=\"logtail/").text(query(lines.name));
        html.raw("\">Plain text that follows</a>");
        if context.server.control {
            html.raw("<form method=\"post\" action=\"order\" class=\"right\"><input type=\"hidden\" name=\"name\" value=\"");
            html.text(lines.name).raw("\"><input type=\"hidden\" name=\"back\" value=\"log\">");
            html.raw("<button name=\"verb\" value=\"clear\" data-ask=\"Clear this log?\">Clear log</button></form>");
        }
    }
    html.raw("</nav><pre id=\"log\" tabindex=\"0\" role=\"log\" aria-label=\"Output of ")
        .text(title)
        .raw("\">");
    match &answer {
        Ok(replies) => lines::write(&mut html, replies, lines.name),
        Err((refusal, _)) => {
            html.raw("<span class=\"err\">").text(refusal.to_string()).raw("</span>\n");
        }
    }
    html.raw("</pre><p class=\"host\">Times are UTC.</p></main>");
    foot(&mut html);
    Ok(finished(html))
}

/// What the script of a page follows.
enum Follow<'l> {
    State,
    Log(&'l Lines<'l>),
}

fn head(title: &str, follow: Follow<'_>) -> Html {
    let mut html = Html::default();
    html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>").text(title);
    html.raw(" – foster ").text(host()).raw("</title>");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">");
    html.raw("<link rel=\"stylesheet\" href=\"style.css\"><script src=\"script.js\" defer></script></head>");
    match follow {
        Follow::State => html.raw("<body data-follow=\"events\">"),
        Follow::Log(lines) => {
            html.raw("<body data-follow=\"follow?name=").text(query(lines.name)).raw("&amp;lines=");
            let count = lines.count.map_or("all".to_owned(), |count| count.to_string());
            html.text(count).raw("\" data-name=\"").text(lines.name).raw("\">")
        }
    };
    html
}

fn foot(html: &mut Html) {
    html.raw("<footer>foster ").text(env!("CARGO_PKG_VERSION")).raw("</footer></body></html>\n");
}

fn finished(html: Html) -> Response {
    let mut response = Response::new(200, HTML, html.into_bytes());
    response.headers.push_str(POLICY);
    response
}

/// The result of the order that has led here.
fn result(html: &mut Html, context: Context<'_>, request: &Request) {
    html.raw("<div id=\"result\" role=\"status\">");
    let report = request.field("result").and_then(|number| context.results.get(number));
    if let Some(Report { success, title, lines }) = report {
        html.raw(match success {
            Success::Done => "<div class=\"result good\"><p><strong>",
            Success::Failed => "<div class=\"result bad\"><p><strong>",
            Success::UnderWay => "<div class=\"result soon\"><p><strong>",
        });
        html.text(title).raw("</strong> ");
        html.raw(match success {
            Success::Done => "done",
            Success::Failed => "failed",
            Success::UnderWay => "takes longer",
        });
        html.raw("</p><ul>");
        for line in lines {
            html.raw("<li>").text(line).raw("</li>");
        }
        html.raw("</ul></div>");
    }
    html.raw("</div>");
}

/// The name of the container.
fn host() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
