//! A static Rust program that sleeps: the memory of the standard library alone.

fn main() {
    loop {
        std::thread::park();
    }
}
