//! A static Rust program that sleeps: the cost of the standard library alone.

fn main() {
    loop {
        std::thread::park();
    }
}
