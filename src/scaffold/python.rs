//! A Python application, with the server that is installed for it.
//!
//! FastAPI, Starlette, Quart and Litestar (ASGI), Flask and Django (WSGI) are found by the line that creates the
//! application; nothing is imported.

use std::path::{Path, PathBuf};

use regex_lite::Regex;

use super::entry::{Entry, array, string, table};
use super::image::Image;

/// The interface that an application has for its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interface {
    Asgi,
    Wsgi,
}

/// An application in a file.
struct Application {
    /// Where it is run from.
    directory: PathBuf,
    /// `app.main:app`.
    target: String,
    framework: String,
    file: PathBuf,
    interface: Interface,
    /// The path of a health endpoint that the file defines.
    health: Option<String>,
}

/// The port where nothing else says one.
const PORT: u16 = 8000;

/// The application of the image, if it has one.
pub(super) fn find(image: &Image, proxied: &[u16], behind_nginx: bool) -> Option<Entry> {
    let application = image.application_folders().iter().find_map(|folder| search(image, folder))?;
    let port = proxied.first().copied().unwrap_or(PORT);
    let host = if behind_nginx { "127.0.0.1" } else { "0.0.0.0" };
    let reason = format!("{} in `{}`.", application.framework, application.file.display());
    let mut entry = Entry::new("backend", reason);
    let (command, remark) = command(image, &application, host, port);
    entry.set_because("command", array(&command), remark);
    if application.directory != Path::new("/") {
        entry.set("directory", string(&application.directory.to_string_lossy()));
    }
    let unbuffered = [("PYTHONUNBUFFERED".to_owned(), string("1"))];
    entry.set_because("environment", table(&unbuffered), "without it Python holds its output back");
    let probe = match &application.health {
        Some(path) => ("http".to_owned(), string(&format!("http://127.0.0.1:{port}{path}"))),
        None => ("tcp".to_owned(), string(&format!("127.0.0.1:{port}"))),
    };
    entry.set("ready", table(&[probe]));
    entry.suggest_user(image.user().as_deref());
    Some(entry)
}

fn search(image: &Image, folder: &Path) -> Option<Application> {
    let files = image.files(folder, "py");
    let found = files.iter().filter_map(|file| application(image, folder, file));
    // A file named for it before one in which an example is defined; of several the nearest, which comes first.
    found.min_by_key(|application| {
        let name = application.file.file_stem().and_then(|name| name.to_str()).unwrap_or("");
        !["main", "app", "asgi", "server", "wsgi", "application"].contains(&name)
    })
}

fn application(image: &Image, folder: &Path, file: &Path) -> Option<Application> {
    let text = image.text(file)?;
    let name = file.file_name()?.to_str()?;
    let assigned = Regex::new(
        r"(?m)^([A-Za-z_]\w*)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?(FastAPI|Starlette|Quart|Litestar|Flask|get_wsgi_application)\(",
    )
    .ok()?;
    let captures = assigned.captures(&text)?;
    let (variable, class) = (captures.get(1)?.as_str(), captures.get(2)?.as_str());
    let (framework, interface) = match class {
        "get_wsgi_application" if name == "wsgi.py" => ("Django", Interface::Wsgi),
        "get_wsgi_application" => return None,
        "Flask" => ("Flask", Interface::Wsgi),
        class => (class, Interface::Asgi),
    };
    let directory = base(image, folder, file)?;
    let module = file.strip_prefix(&directory).ok()?.with_extension("");
    let module: Vec<&str> = module.iter().filter_map(|part| part.to_str()).collect();
    let is_name = |part: &&str| part.chars().all(|char| char.is_alphanumeric() || char == '_');
    if !module.iter().all(is_name) {
        return None;
    }
    let health =
        Regex::new(&format!(r#"@{variable}\.(?:get|route)\(\s*["'](/[\w/-]*health[\w/-]*)["']"#)).ok()?;
    let health =
        health.captures(&text).and_then(|captures| captures.get(1)).map(|path| path.as_str().to_owned());
    Some(Application {
        directory,
        target: format!("{}:{variable}", module.join(".")),
        framework: framework.to_owned(),
        file: file.to_path_buf(),
        interface,
        health,
    })
}

/// The folder from which the module is imported: that of the project's files, else the first that is not a package.
fn base(image: &Image, folder: &Path, file: &Path) -> Option<PathBuf> {
    let above = || file.ancestors().skip(1).take_while(|ancestor| ancestor.starts_with(folder));
    let marks = ["requirements.txt", "pyproject.toml", "setup.py", "Pipfile", "manage.py", "uv.lock"];
    let project = above().find(|ancestor| marks.iter().any(|mark| image.exists(&ancestor.join(mark))));
    let top = || above().find(|ancestor| !image.exists(&ancestor.join("__init__.py")));
    project.or_else(top).map(Path::to_path_buf).or_else(|| Some(folder.to_path_buf()))
}

/// The command, and a remark about it.
fn command(image: &Image, application: &Application, host: &str, port: u16) -> (Vec<String>, &'static str) {
    let (target, address) = (application.target.clone(), format!("{host}:{port}"));
    let (host, port) = (host.to_owned(), port.to_string());
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let flags = [target.clone(), "--host".to_owned(), host.clone(), "--port".to_owned(), port.clone()];
    let tool = |name: &str| tool(image, application, name);
    match application.interface {
        Interface::Asgi => {
            let mut command = match (tool("uvicorn"), tool("hypercorn")) {
                (None, Some(hypercorn)) => {
                    return (vec![hypercorn, "--bind".to_owned(), address, target], "");
                }
                (Some(uvicorn), _) => vec![uvicorn],
                (None, None) => {
                    let python = tool("python3").or_else(|| tool("python")).unwrap_or("python3".to_owned());
                    vec![python, "-m".to_owned(), "uvicorn".to_owned()]
                }
            };
            command.extend(flags);
            (command, "")
        }
        Interface::Wsgi => match tool("gunicorn") {
            Some(gunicorn) => (vec![gunicorn, "--bind".to_owned(), address, target], ""),
            None if application.framework == "Flask" => {
                let mut command = words(&["python3", "-m", "flask", "--app", &target, "run"]);
                command.extend(words(&["--host", &host, "--port", &port]));
                (command, "a server for development: install gunicorn for production")
            }
            None => (
                words(&["python3", "manage.py", "runserver", "--noreload", &address]),
                "a server for development: install gunicorn for production",
            ),
        },
    }
}

/// A command by its name where it is in PATH, else by its path in a virtual environment.
fn tool(image: &Image, application: &Application, name: &str) -> Option<String> {
    let environments = [
        application.directory.join(".venv"),
        application.directory.join("venv"),
        image.directory().join(".venv"),
        PathBuf::from("/opt/venv"),
        PathBuf::from("/venv"),
    ];
    if image.command(name).is_some() {
        return Some(name.to_owned());
    }
    let paths = environments.iter().map(|folder| folder.join("bin").join(name));
    paths.into_iter().find(|path| image.exists(path)).map(|path| path.to_string_lossy().into_owned())
}
