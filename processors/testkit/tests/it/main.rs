#![cfg(test)]

mod leftovers;
mod parts;
