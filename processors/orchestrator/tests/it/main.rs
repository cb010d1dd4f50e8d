mod any_bytes;
mod kafka;
mod lint;
mod resources;
mod run;
mod scripted;
mod shipped;
