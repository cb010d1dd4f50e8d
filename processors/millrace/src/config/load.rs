//! From a file and the environment to a [`Config`], or to the list of everything that is wrong.

use std::{
    env, fmt, fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};
use serde_path_to_error::Segment;

use super::{Config, environment, secret};

const DEFAULT_PATH: &str = "millrace.yaml";

/// Reads `path` (or, if none was given, `millrace.yaml` when it is there), lays the environment over it and checks all.
pub fn load(path: Option<&Path>) -> Result<Config, Mistakes> {
    let (path, text) = match path {
        Some(path) => (path, read(path)?),
        None if Path::new(DEFAULT_PATH).exists() => (Path::new(DEFAULT_PATH), read(Path::new(DEFAULT_PATH))?),
        None => (Path::new(DEFAULT_PATH), String::new()),
    };
    let mut config = parse(&text, env::vars()).map_err(|lines| Mistakes {
        path: path.to_owned(),
        lines,
    })?;
    config.resolve_paths(path.parent().unwrap_or(Path::new("")));
    Ok(config)
}

/// All mistakes of a configuration, one line each: where, what, how to mend it.
#[derive(Debug)]
pub struct Mistakes {
    path: PathBuf,
    lines: Vec<String>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.lines.len();
        write!(
            f,
            "{}: {count} mistake{}",
            self.path.display(),
            if count == 1 { "" } else { "s" }
        )?;
        self.lines.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Mistakes {}

fn read(path: &Path) -> Result<String, Mistakes> {
    fs::read_to_string(path).map_err(|error| {
        let mend = match error.kind() {
            io::ErrorKind::NotFound => "; give the path with --config or MILLRACE_CONFIG",
            _ => "",
        };
        Mistakes {
            path: path.to_owned(),
            lines: vec![format!("cannot be read: {error}{mend}")],
        }
    })
}

/// What a laptop has, where the file and the environment say nothing.
fn defaults() -> Value {
    json!({
        "kafka": {"bootstrap_servers": "127.0.0.1:9092"},
        "registry": {"url": "http://127.0.0.1:8081"},
    })
}

fn parse(text: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Config, Vec<String>> {
    let file: Value = serde_yaml_ng::from_str(text).map_err(|error| vec![format!("is no YAML: {error}")])?;
    let mut document = match file {
        Value::Object(_) => file,
        Value::Null => Value::Object(Map::new()),
        _ => return Err(vec!["must be a mapping of settings".to_owned()]),
    };
    let mut mistakes = secret::resolve(&mut document);
    environment::overlay(&mut document, variables);
    if let (Value::Object(fields), Value::Object(defaults)) = (&mut document, defaults()) {
        for (name, value) in defaults {
            match fields.entry(name).or_insert(Value::Null) {
                Value::Object(part) => {
                    let Value::Object(value) = value else { continue };
                    for (name, value) in value {
                        part.entry(name).or_insert(value);
                    }
                }
                absent @ Value::Null => *absent = value,
                _ => {}
            }
        }
    }
    let config = deserialize(document, &mut mistakes);
    for (path, what) in config.iter().flat_map(Config::mistakes) {
        let place = place(&path);
        // a setting that was taken out for its mistake has another now
        if !mistakes.iter().any(|told| told.starts_with(&format!("{place}: "))) {
            mistakes.push(format!("{place}: {what}"));
        }
    }
    match config {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(mistakes),
    }
}

/// serde stops at the first mistake. So each one is noted, taken out of the document, and the rest is read again.
fn deserialize(mut document: Value, mistakes: &mut Vec<String>) -> Option<Config> {
    loop {
        let error = match serde_path_to_error::deserialize::<_, Config>(document.clone()) {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        mistakes.push(format!("{}: {}", place(&error.path().to_string()), error.inner()));
        if !remove(&mut document, &error.path().iter().collect::<Vec<_>>()) {
            return None;
        }
    }
}

/// A setting by its name in the file, or by the variable that it comes from; a variable may hold more than one setting.
fn place(path: &str) -> String {
    let ends = path.match_indices(['.', '[']).map(|(end, _)| end).chain([path.len()]);
    let mut parts: Vec<&str> = ends.map(|end| &path[..end]).collect();
    parts.reverse();
    let from = parts.into_iter().find_map(|part| {
        let variable = environment::variable(part);
        env::var_os(&variable).map(|_| (part, variable))
    });
    match from {
        None => path.to_owned(),
        Some((part, variable)) if part == path => variable,
        Some((_, variable)) => format!("{variable}, {path}"),
    }
}

/// Takes out what is at `path`; false if that is the whole document.
fn remove(document: &mut Value, path: &[&Segment]) -> bool {
    let Some((last, levels)) = path.split_last() else {
        return false;
    };
    let mut place = document;
    for level in levels {
        let next = match level {
            Segment::Map { key } => place.get_mut(key),
            Segment::Seq { index } => place.get_mut(index),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        let Some(next) = next else { return false };
        place = next;
    }
    match (last, place) {
        (Segment::Map { key }, Value::Object(fields)) => fields.shift_remove(key).is_some(),
        (Segment::Seq { index }, Value::Array(items)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<Config, Vec<String>> {
        parse(text, std::iter::empty())
    }

    #[test]
    fn an_empty_file_is_a_configuration_for_a_laptop() {
        let config = parse_text("").unwrap();
        assert_eq!(config.kafka.prefix, "millrace.");
        assert!(config.api.listen.ip().is_loopback());
    }

    #[test]
    fn the_file_that_ships_is_right() {
        parse_text(crate::config::EXAMPLE).unwrap();
    }

    /// What serde says it expects in the place of a setting that is none.
    fn settings_of(part: &str) -> Vec<String> {
        let levels: Vec<&str> = part.split('.').filter(|level| !level.is_empty()).collect();
        let text = levels.iter().map(|level| format!("{{{level}: ")).collect::<String>()
            + "{no_such_setting: 1}"
            + &"}".repeat(levels.len());
        let said = parse_text(&text).unwrap_err();
        let line = said.iter().find(|line| line.contains("no_such_setting")).unwrap();
        let (_, names) = line.split_once("expected").unwrap_or_else(|| panic!("{line}"));
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_file_that_ships_names_every_setting() {
        let parts = [
            "",
            "kafka",
            "registry",
            "postgres",
            "pinecone",
            "http",
            "orchestrator",
            "indexer",
            "indexer.splitting",
            "recorder",
            "api",
        ];
        for part in parts {
            let settings = settings_of(part);
            assert!(!settings.is_empty(), "{part}");
            for setting in settings {
                assert!(
                    crate::config::EXAMPLE.contains(&format!("{setting}:")),
                    "`{part}.{setting}` is not in the example"
                );
            }
        }
    }

    #[test]
    fn what_a_role_would_refuse_at_its_start_is_a_mistake() {
        let said = parse_text("api: {listen: \"0.0.0.0:8080\"}\nadmin: \"[::]:8079\"").unwrap_err();
        assert_eq!(said.len(), 2, "{said:#?}");
        assert!(
            said[0].starts_with("api.listen: ") && said[1].starts_with("admin: "),
            "{said:#?}"
        );
        assert!(said.iter().all(|line| line.contains("loopback")), "{said:#?}");
        let large = parse_text("api: {max_body_bytes: 99999999}").unwrap();
        let told = large
            .fits(&topics::Catalog::embedded().unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("api.max_body_bytes") && told.contains("requests.interactive"),
            "{told}"
        );
        parse_text("")
            .unwrap()
            .fits(&topics::Catalog::embedded().unwrap())
            .unwrap();
    }

    #[test]
    fn brokers_are_hosts_with_ports_and_a_url_is_never_repeated() {
        for right in ["a:1", "a:1,b:2", "PLAINTEXT://a:1, SSL://[::1]:9093"] {
            parse_text(&format!("kafka: {{bootstrap_servers: \"{right}\"}}")).unwrap();
        }
        let said = parse_text("kafka: {bootstrap_servers: \"a:1,b\"}\npostgres: {url: \"mysql://u:hunter2@h/d\"}")
            .unwrap_err();
        assert_eq!(said.len(), 2, "{said:#?}");
        assert!(!said.iter().any(|line| line.contains("hunter2")), "{said:#?}");
    }

    #[test]
    fn a_secret_that_is_not_there_is_told_once() {
        for text in [
            "postgres: {url: {env: NO_SUCH_ONE}}",
            "http: {hosts: [{host: a.example, bearer: {env: NO_SUCH_ONE}}]}",
        ] {
            let said = parse_text(text).unwrap_err();
            assert_eq!(said.len(), 1, "{said:#?}");
        }
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let said = parse_text(
            "kafka:\n  bootstrap_server: x:1\norchestrator:\n  in_flight: many\n  order: random\nindexes: [{name: kb}]\nfrobnicate: 1\n\
             registry: {url: \"htp://x\"}\nhttp: {hosts: [{host: a.example}, {host: 10.0.0.1}]}\n",
        )
        .unwrap_err();
        assert_eq!(said.len(), 7, "{said:#?}");
        for part in [
            "bootstrap_server`",
            "orchestrator.in_flight",
            "orchestrator.order",
            "indexes[0]",
            "`frobnicate`",
            "registry.url: must begin with http",
            "http.hosts[1].host: `10.0.0.1` is an address of this machine",
        ] {
            assert!(said.iter().any(|line| line.contains(part)), "{part} in {said:#?}");
        }
    }
}
