//! Where the page is: named for the macro that takes it in. A release build carries the page and is built again when the
//! page is; a debug build reads it from disk.

use std::{env, fs, path::Path};

fn main() -> std::io::Result<()> {
    // Without a `..` in it: files are looked for below this very path, also in a folder that is made only later.
    let root = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
    let page = root.join("web/dist");
    println!("cargo::rustc-env=PAGE_FOLDER={}", page.display());
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        // What is watched and is not there makes every build a new one.
        fs::create_dir_all(&page)?;
        println!("cargo::rerun-if-changed=../web/dist");
    }
    Ok(())
}
