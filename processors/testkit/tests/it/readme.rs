//! The README is true: the demo comes up, and every command block of the README does what a reader expects of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use testkit::{Launch, Signal, python, until};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// The first start fetches the parts.
const DEMO_WITHIN: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_runs_and_so_does_every_example() {
    build();
    let folder = tempfile::tempdir().unwrap();
    let demo = folder.path().join("demo");
    let mut process = Launch::new("demo", env!("CARGO_BIN_EXE_demo"), folder.path().join("demo.log"))
        .args(["--folder".as_ref(), demo.as_os_str()])
        .start()
        .unwrap();
    let env = demo.join("env");
    let up = until(DEMO_WITHIN, async || {
        process.running().unwrap();
        env.exists().then_some(())
    });
    up.await
        .unwrap_or_else(|late| panic!("{late}: {}", fs::read_to_string(process.log()).unwrap()));

    let readme = fs::read_to_string(Path::new(REPOSITORY).join("README.md")).unwrap();
    let blocks = blocks(&readme);
    assert!(
        blocks.iter().filter(|(language, _)| *language == "bash").count() >= 5,
        "the README lost its examples"
    );
    let python =
        python::environment(&Path::new(REPOSITORY).join("processors/millrace/tests/it/stranger/requirements.txt"))
            .unwrap();
    let script = script(&blocks, &env, &python, folder.path());
    let output = Command::new("bash")
        .arg("-c")
        .arg(&script)
        .current_dir(REPOSITORY)
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    for part in [
        "A lane is the queue of records",
        "\"status\":\"completed\"",
        "x-request-id",
        "answer@1",
        "echo@1",
    ] {
        assert!(
            said.contains(part),
            "`{part}` is not in what the examples print:\n{said}"
        );
    }

    process.signal(Signal::INT).unwrap();
    let exit = process.ended(Duration::from_secs(60)).await.unwrap();
    assert!(exit.success(), "Ctrl-C ends the demo in order: {exit}");
}

/// One shell for all blocks, in the order of the reader; the first command that fails ends it.
fn script(blocks: &[(&str, String)], env: &Path, python: &Path, folder: &Path) -> String {
    let mut script = format!("set -euo pipefail\nexport PATH={}:$PATH\n", target().display());
    for (number, (language, text)) in blocks.iter().enumerate() {
        match *language {
            "bash" => script.push_str(&text.replace(".millrace/demo/env", &env.display().to_string())),
            "python" => {
                let file = folder.join(format!("block-{number}.py"));
                fs::write(&file, text).unwrap();
                script.push_str(&format!("{} {}\n", python.display(), file.display()));
            }
            "rust" => {
                let example = include_str!("../../examples/produce.rs");
                assert_eq!(text, example, "the README's producer is not the one that is built");
                script.push_str(&format!("{}/examples/produce\n", target().display()));
            }
            "yaml" => {
                let file = folder.join(format!("block-{number}.yaml"));
                fs::write(&file, text).unwrap();
                script.push_str(&format!("millrace chain lint {}\n", file.display()));
            }
            // `console`: what starts this very test; a block without a language is a picture
            "console" | "" => {}
            other => panic!("a block of the README is in `{other}`, which nobody runs"),
        }
    }
    script
}

fn blocks(readme: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text = lines
                .by_ref()
                .take_while(|line| *line != "```")
                .map(|line| format!("{line}\n"))
                .collect();
            blocks.push((language, text));
        }
    }
    blocks
}

fn build() {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "millrace", "--target-dir"])
        .arg(target().parent().unwrap())
        .current_dir(REPOSITORY)
        .status()
        .unwrap();
    assert!(status.success());
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_demo")).parent().unwrap().to_owned()
}
