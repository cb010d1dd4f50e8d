#![cfg(test)]

mod leftovers;
mod parts;
mod scripted;
