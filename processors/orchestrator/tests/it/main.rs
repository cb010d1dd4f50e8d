mod any_bytes;
mod lint;
mod resources;
mod run;
mod shipped;
