/// The tables, step by step: version, name and SQL, in their order. A step that was released never changes.
pub const MIGRATIONS: [(i64, &str, &str); 7] = [
    (1, "runs", include_str!("../migrations/0001_runs.sql")),
    (2, "feed", include_str!("../migrations/0002_feed.sql")),
    (3, "resumes", include_str!("../migrations/0003_resumes.sql")),
    (4, "trail", include_str!("../migrations/0004_trail.sql")),
    (5, "gaps", include_str!("../migrations/0005_gaps.sql")),
    (
        6,
        "keys_and_mends",
        include_str!("../migrations/0006_keys_and_mends.sql"),
    ),
    (7, "runs_by_key", include_str!("../migrations/0007_runs_by_key.sql")),
];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::MIGRATIONS;

    #[test]
    fn every_file_is_a_step_under_its_number() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let files = fs::read_dir(folder).unwrap();
        let mut files: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        assert_eq!(
            files,
            MIGRATIONS.map(|(version, name, _)| format!("{version:04}_{name}.sql"))
        );
    }
}
